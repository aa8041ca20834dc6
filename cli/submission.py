"""Handing a run to a SuperLink with Flower's own command, following it, and asking what became of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import tomli_w

from cli.defaults import Value, app_directory
from cli.parts import TELEMETRY_OFF, Part, PartFailedError

_PACKAGES = ("learning", "strategies", "envproxy", "client", "server", "operations")
_PROFILE = "here"
_FLWR = str(Path(sys.executable).parent / "flwr")


class Outcome(NamedTuple):
    """What Flower says of a run: a status such as `running` or `finished:failed`, and why."""

    status: str
    details: str

    @property
    def over(self) -> bool:
        return self.status.startswith("finished")

    @property
    def completed(self) -> bool:
        """Whether the run was played to its end."""
        return self.status == "finished:completed"

    def __str__(self) -> str:
        return f"the run ended as {self.status}: {self.details}"


class Submission:
    """A run that was handed to a SuperLink. `stream` is the command that passes on what the ServerApp says."""

    def __init__(
        self,
        superlink: str,
        given: Mapping[str, Value],
        folder: Path,
        log: Path,
        root_certificates: Path | None = None,
    ) -> None:
        """Hand over a run with the settings `given` beside the defaults.

        `superlink` is its HOST:PORT, called over TLS with `root_certificates`, else in plaintext; `folder` is for the
        app and Flower's files, `log` for what is said.
        """
        app, home, run_config = folder / "app", folder / "cli", folder / "run-config.toml"
        for package in _PACKAGES:
            source = app_directory() if (app_directory() / package).exists() else app_directory().parent
            shutil.copytree(source / package, app / package, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
        shutil.copy(app_directory() / "pyproject.toml", app)
        run_config.write_text(tomli_w.dumps(dict(given)), encoding="utf-8")
        home.mkdir(exist_ok=True)
        secured = {"insecure": True} if root_certificates is None else {"root-certificates": str(root_certificates)}
        profile = {"superlink": {_PROFILE: {"address": superlink, **secured}}}
        (home / "config.toml").write_text(tomli_w.dumps(profile), encoding="utf-8")
        self.stream = Part(
            "flwr run",
            [_FLWR, "run", str(app), _PROFILE, "--stream", "--run-config", str(run_config)],
            log,
            {"FLWR_HOME": str(home), **TELEMETRY_OFF},
        )

    def outcome(self) -> Outcome:
        """Ask what became of the run: `flwr run --stream` exits with 0 in any case. Raises PartFailedError."""
        listed = self._flwr("list", _PROFILE, "--run-id", self._run_id(), "--format", "json")
        try:
            run = json.loads(listed.stdout)["runs"][0]
        except (ValueError, LookupError):
            raise PartFailedError(f"Flower does not say how the run ended: {listed.stdout}{listed.stderr}") from None
        return Outcome(run["status"], run["status-details"])

    def stop(self) -> None:
        """End the run if it is on."""
        self._flwr("stop", self._run_id(), _PROFILE)

    def _run_id(self) -> str:
        started = re.findall(r"run (\d{6,})", self.stream.said())
        if not started:
            raise PartFailedError(f"Flower did not take the run. {self.stream.last_words()}")
        found: str = started[-1]  # the log of a resumed run begins with the runs before it
        return found

    def _flwr(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_FLWR, *words], capture_output=True, text=True, check=False, env={**self.stream.environment}
        )
