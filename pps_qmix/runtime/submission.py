"""A run that Flower's own command has submitted to a SuperLink, and how it ends."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import tomli_w

from pps_qmix.configuration import Value, app_directory
from pps_qmix.runtime.processes import Part, PartFailedError, StopError
from pps_qmix.runtime.superlink import PROFILE, SuperLink, ask, flwr
from server.failure import what_needs_you
from server.flower_internals import INTERNAL_ERROR, RUN_ID_NOT_FOUND, started_run

_PACKAGES = ("learning", "strategies", "envproxy", "client", "server", "operations")
_LOOK_EVERY = 0.5  # seconds
_ASK_EVERY = 600.0  # seconds after which the SuperLink is asked though the log still streams: the network may be cut
_ASK_AGAIN = 5.0  # seconds until a SuperLink is asked again that did not answer
_LOST_AFTER = 120.0  # seconds without an answer
_LOCKED = "after 'database is locked' give it more of a processor, and --database a faster disk"


class Submission:
    """One run of Flower's. `stream` is the process that submits it and copies its log; the run does not end with it."""

    def __init__(self, superlink: SuperLink, given: Mapping[str, Value], home: Path, log: Path) -> None:
        """Submit. `given` are the settings that differ from their defaults, `home` is a folder of this run's alone.

        What the ServerApp says goes to `log`.
        """
        self._superlink = superlink
        self._log = log
        self._environment = superlink.environment(home)
        self._said_before = log.stat().st_size if log.exists() else 0
        self._run: str | None = None
        run_config = home / "run-config.toml"
        run_config.write_text(tomli_w.dumps(dict(given)), encoding="utf-8")
        app = _copy_app(home / "app")
        self.stream = self._flwr("run", str(app), PROFILE, "--stream", "--run-config", str(run_config))

    def follow(self, meanwhile: Callable[[], None]) -> None:
        """Return when the run is completed. `meanwhile` is called twice a second, and may raise.

        Raises PartFailedError if the run failed or is lost, StopError if it makes no sense to try again.
        """
        ask_at = time.monotonic() + _ASK_EVERY
        in_vain: float | None = None  # since when the SuperLink is asked and does not answer
        while True:
            meanwhile()
            now = time.monotonic()
            if self.stream.running and now < ask_at:
                time.sleep(_LOOK_EVERY)
                continue
            status = self._status()
            if status is None:
                in_vain = now if in_vain is None else in_vain
                if now - in_vain > _LOST_AFTER:
                    raise PartFailedError(
                        f"the SuperLink at {self._superlink.address} does not answer (see {self._log})"
                    )
                ask_at = now + _ASK_AGAIN
                self._pause(_ASK_AGAIN, meanwhile)
                continue
            if status["status"].startswith("finished"):
                self._check(status["status"], status["status-details"])
                return
            ask_at, in_vain = now + _ASK_EVERY, None
            if not self.stream.running:
                self.stream = self._flwr("log", str(self._run), PROFILE, "--stream")

    def stop(self) -> None:
        """End the run, if it has begun, as far as the SuperLink can be reached."""
        run = self._started()
        if run is not None:
            ask(self.stream.environment, "stop", run, PROFILE)

    def _pause(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            meanwhile()
            time.sleep(_LOOK_EVERY)

    def _started(self) -> str | None:
        """Return Flower's number of the run, None if it was not taken (yet)."""
        if self._run is None and self._log.exists():
            said = self._log.read_bytes()[self._said_before :].decode(
                errors="replace"
            )  # the log may be of several runs
            self._run = started_run(said)
        return self._run

    def _status(self) -> dict[str, str] | None:
        """`flwr run --stream` exits with 0 whatever became of the run: ask. None: the SuperLink does not answer."""
        run = self._started()
        if run is None:
            self.stream.end()
            raise PartFailedError(f"Flower did not take the run. {self.stream.last_words()}")
        said = ask(self.stream.environment, "list", PROFILE, "--run-id", run, "--format", "json")
        try:
            document = json.loads(said)
        except ValueError:
            return None
        if document.get("runs"):
            status: dict[str, str] = document["runs"][0]
            return status
        if RUN_ID_NOT_FOUND not in document.get("error-message", ""):
            return None
        raise PartFailedError(
            f"the SuperLink at {self._superlink.address} does not know the run any more: it was restarted"
        )

    def _check(self, status: str, details: str) -> None:
        if status == "finished:completed":
            return
        if status == "finished:stopped":
            raise StopError(f"the run was stopped by another command (see {self._log})")
        reason = what_needs_you(details)
        if reason is not None:
            raise StopError(reason)
        if INTERNAL_ERROR in details:
            details = f"{details}; the log of the SuperLink says why ({_LOCKED})"
        raise PartFailedError(f"the run ended as {status}: {details} (see {self._log})")

    def _flwr(self, *arguments: str) -> Part:
        return Part(f"flwr {arguments[0]}", flwr(*arguments), self._log, self._environment)


def _copy_app(app: Path) -> Path:
    """Copy the Flower app to a folder without anything else, which is small to send."""
    shutil.rmtree(app, ignore_errors=True)
    for package in _PACKAGES:
        source = app_directory() if (app_directory() / package).exists() else app_directory().parent
        shutil.copytree(source / package, app / package, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
    shutil.copy(app_directory() / "pyproject.toml", app)
    return app
