"""The run directory: what a run leaves behind, and what it is resumed from.

runs/<name>/
    run.json               settings, versions, seed, git commit, an id of its own, the runtime that played it last,
                           the simulator version
    metrics.jsonl          one row per evaluation and per round
    events.out.tfevents.*  the same numbers for TensorBoard
    curve.png              win rate and return against environment steps
    report.html            what the run was and what came of it
    watch.html             battles of the final agents, recorded at the run's end where it was played
    checkpoints/           what it is resumed from: server.checkpoints
    now.json               what the ServerApp is at: the seats that it waits for, or the round
    lock                   held by the process that writes here
    command.lock           held by the command that plays it, if one does: before that process, and between two
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import platform
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast, get_args

from operations.files import replace_file
from operations.locks import InUseError, is_locked, locked
from operations.paths import user_path
from operations.simulator import BACKEND, other_simulator, simulator_of
from server.settings import Settings, SettingsError, Value, check_settings
from strategies.registry import settings_text

log = logging.getLogger("server")

_LOCK_LIMIT = 10.0  # seconds to wait for the previous writer: a ServerApp outlives its SuperLink for a moment
MAY_CHANGE = {  # on resume
    *("total-steps", "resume", "run", "runs", "seat-timeout", "round-timeout", "threads", "device", "attest-key"),
    *("seat-budget", "backend-options", "devices", "device-grace"),
}


Runtime = Literal["flower", "in-process"]  # what delivers the messages: Flower's processes, or one process

_NOT_OF_NAMES, _LONGEST_NAME = re.compile(r"[^A-Za-z0-9._-]+"), 100  # as the settings have it
REPORT_PAGE, WATCH_PAGE = "report.html", "watch.html"
_IN_EVERY_ROW = {"kind", "round", "steps"}


class RunDirectoryError(Exception):
    """The run directory cannot be used; the message says why and what to do."""


class NotKeptError(RunDirectoryError):
    """The results of a run cannot be written (the disk is full, say); what was kept before is whole."""


class RunDirectory:
    """`runs/<name>/`."""

    def __init__(self, path: Path, run_id: str, settings: Settings) -> None:
        self.path = path
        self.run_id = run_id
        self.settings = settings
        self._metrics = metrics_path(path)

    @classmethod
    def create(cls, settings: Settings) -> RunDirectory:
        """Make the directory of a new run. Raises RunDirectoryError if it holds a run already or cannot be made."""
        settings = settings.model_copy(update={"run": settings.run or claim_name(settings)})
        directory = cls(user_path(settings.runs).absolute() / settings.run, secrets.token_hex(8), settings)
        if has_run(directory.path):
            raise already_there(directory.path)
        try:
            checkpoints_path(directory.path).mkdir(parents=True, exist_ok=True)
            directory._write(directory._document())
        except OSError as error:
            raise RunDirectoryError(f"cannot make {directory.path}: {error.strerror}") from None
        return directory

    @classmethod
    def resume(cls, settings: Settings, given: Mapping[str, Value]) -> RunDirectory:
        """Open the directory of a run that is resumed, with the settings it began with and those `given` now.

        Raises RunDirectoryError if there is no such run or it cannot be written, SettingsError if a given setting
        must not change.
        """
        path = user_path(settings.runs).absolute() / settings.run
        document = read_run(path)
        kept: dict[str, Value] = {**settings.config(), **document["settings"]}  # some may be newer than the run
        check_unchanged(kept, given)
        check_simulator(path)
        changed = {name: value for name, value in given.items() if name in MAY_CHANGE}
        merged = check_settings({**kept, **changed, "runs": settings.runs, "run": settings.run, "resume": True})
        directory = cls(path, document["id"], merged)
        with keeping(document_path(path)):
            checkpoints_path(path).mkdir(exist_ok=True)
            directory._write({**document, "settings": merged.config()})
        return directory

    def append(self, *rows: Mapping[str, Any]) -> None:
        """Add rows to metrics.jsonl, all at once, to stay there when the power goes. Raises NotKeptError."""
        with keeping(self._metrics), open(self._metrics, "a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of metrics.jsonl; a last line cut by a crash is left out."""
        return read_rows(self.path)

    def drop_after(self, round_: int) -> None:
        """Forget the metrics of rounds after `round_`: they will be played again. Raises NotKeptError."""
        kept = [row for row in self.rows() if row["round"] <= round_]
        with keeping(self._metrics):
            replace_file(self._metrics, "".join(json.dumps(row) + "\n" for row in kept).encode())

    def note_provenance(self, provenance: Mapping[str, str]) -> None:
        """Write into run.json what the battles are played on, if that is more than our own version.

        Raises NotKeptError.
        """
        document = read_run(self.path)
        before = document.get("provenance", {})
        if not provenance or provenance == before:
            return
        if before:
            log.warning("battles were played on %s; they are played on %s now", before, dict(provenance))
        with keeping(document_path(self.path)):
            self._write({**document, "provenance": dict(provenance)})

    def note_runtime(self, runtime: Runtime) -> None:
        """Write into run.json what plays the run from now on: a resumed run keeps it. Raises NotKeptError."""
        document = read_run(self.path)
        if document.get("runtime") != runtime:
            with keeping(document_path(self.path)):
                self._write({**document, "runtime": runtime})

    def note_now(self, now: Mapping[str, Any]) -> None:
        """Say what the run is at, for those who follow it; the run continues if that cannot be written."""
        with suppress(OSError):
            replace_file(now_path(self.path), json.dumps(dict(now)).encode())

    def _document(self) -> dict[str, Any]:
        packages = ("pps-qmix", "flwr", "torch", "numpy")
        return {
            "id": self.run_id,
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": self.settings.config(),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
            "simulator": simulator_of(self.settings.backend),
            "commit": _git_commit(),
        }

    def _write(self, document: Mapping[str, Any]) -> None:
        replace_file(document_path(self.path), json.dumps(document, indent=1).encode())


@contextmanager
def open_run(settings: Settings, given: Mapping[str, Value]) -> Iterator[RunDirectory]:
    """Make the run's directory, or open it if the run is to be resumed, and keep other writers out meanwhile.

    Raises as `RunDirectory.create` and `RunDirectory.resume` do, and InUseError if another process does not leave it.
    """
    settings = settings.model_copy(update={"run": settings.run or claim_name(settings)})
    path = user_path(settings.runs).absolute() / settings.run
    if settings.resume:
        read_run(path)  # or the lock would make a folder of what is no run
    with _alone(path, "lock", _LOCK_LIMIT):
        yield RunDirectory.resume(settings, given) if settings.resume else RunDirectory.create(settings)


def check_free(path: Path) -> None:
    """Raise InUseError if a process writes to this run directory now, or a command plays the run."""
    if is_held(path) or is_locked(path / "command.lock"):
        raise InUseError(_in_use(path))


def is_held(path: Path) -> bool:
    """Say whether a process of this machine writes in a run directory."""
    return is_locked(path / "lock")


@contextmanager
def being_played(path: Path) -> Iterator[None]:
    """Keep other commands from playing a run here. Its directory is made if it is not there.

    Raises InUseError if one plays it, RunDirectoryError if the directory cannot be made.
    """
    with _alone(path, "command.lock", 0.0):
        yield


def claim_name(settings: Settings) -> str:
    """Make the directory of a run that has no name yet, and return the name: no other run gets it.

    Raises RunDirectoryError if it cannot be made.
    """
    for number in itertools.count(1):
        name = run_name(settings, number)
        path = user_path(settings.runs).absolute() / name
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunDirectoryError(f"cannot make {path}: {error.strerror}") from None
        return name
    raise AssertionError("numbers do not end")


def run_name(settings: Settings, number: int = 1) -> str:
    """Return a name for a run: what it is and when it began, as far as a name may have that.

    `number` tells apart those that began in the same second.
    """
    began = datetime.now().strftime("-%Y%m%d-%H%M%S") + (f"-{number}" if number > 1 else "")
    what = f"{settings.map}-{settings.method}-{settings.base}-s{settings.seed}"
    return _NOT_OF_NAMES.sub("-", what).lstrip("._-")[: _LONGEST_NAME - len(began)] + began


def already_there(path: Path) -> RunDirectoryError:
    """Return the error of a new run whose directory holds a run already."""
    return RunDirectoryError(f"{path} holds a run: choose another name (run), or continue it with --resume {path.name}")


def check_unchanged(kept: Mapping[str, Value], given: Mapping[str, Value]) -> None:
    """Raise SettingsError if a setting `given` for a resumed run must not differ from that it was `kept` with."""
    for name, value in given.items():
        began, wanted = _strategy_settings(kept, value) if name == "strategy-settings" else (kept.get(name), value)
        if name not in MAY_CHANGE and began != wanted:
            raise SettingsError(f"{name}: the run began with {began!r}, a resumed run cannot change it")


def other_simulator_of(path: Path) -> str:
    """Return why the battles of a run cannot be continued: another simulator version played them; "" if they can.

    Raises RunDirectoryError if `path` holds no run.
    """
    document = read_run(path)
    return other_simulator(document["settings"].get("backend", BACKEND), document.get("simulator", 0))


def check_simulator(path: Path) -> None:
    """Raise RunDirectoryError if another simulator version has played a run, or if `path` holds none."""
    if reason := other_simulator_of(path):
        raise RunDirectoryError(f"{path} cannot be resumed: {reason}; begin a new run")


def _strategy_settings(kept: Mapping[str, Value], given: Value) -> tuple[str, str]:
    """Return what a run's strategy was set to as it began, and with what is `given` over it. Raises SettingsError."""
    strategy, began = str(kept.get("strategy")), str(kept.get("strategy-settings", ""))
    try:
        return settings_text(strategy, began), settings_text(strategy, began, str(given))
    except ValueError as error:
        raise SettingsError(f"strategy-settings: {error}") from None


def document_path(path: Path) -> Path:
    """Return where a run directory says what its run is."""
    return path / "run.json"


def has_run(path: Path) -> bool:
    """Say whether a run was begun in a directory, which need not be there."""
    return document_path(path).exists()


def read_run(path: Path) -> dict[str, Any]:
    """Return run.json. Raises RunDirectoryError if `path` is not a run directory."""
    try:
        document = json.loads(document_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("settings"), dict) or "id" not in document:
        raise RunDirectoryError(f"{path} is not a run directory: it has no readable run.json")
    return document


def kept_runtime(path: Path) -> Runtime | None:
    """Return the runtime that played a run last, None if the run is older than this entry of run.json.

    Raises RunDirectoryError if `path` is not a run directory or its runtime is unknown.
    """
    runtime = read_run(path).get("runtime")
    if runtime is not None and runtime not in get_args(Runtime):
        raise RunDirectoryError(
            f"{document_path(path)} names the runtime {runtime!r}, expected {' or '.join(get_args(Runtime))}; "
            "choose one with --runtime"
        )
    return cast("Runtime | None", runtime)


def metrics_path(path: Path) -> Path:
    """Return where a run directory has its rows."""
    return path / "metrics.jsonl"


def report_path(path: Path) -> Path:
    """Return where a run directory has the page that says what came of its run."""
    return path / REPORT_PAGE


def watch_path(path: Path) -> Path:
    """Return where a run directory has its recorded battles, if it has any."""
    return path / WATCH_PAGE


def now_path(path: Path) -> Path:
    """Return where a run directory says what its run is at: `{"waiting-for": [seat, ...] or null}` or `{"round": 3,
    "steps": 12345}`, the steps being those before the round."""
    return path / "now.json"


def checkpoints_path(path: Path) -> Path:
    """Return where a run directory has its checkpoints."""
    return path / "checkpoints"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a run directory's metrics.jsonl, as far as they are whole."""
    try:
        return whole_rows(metrics_path(path).read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return []


def whole_rows(text: str) -> list[dict[str, Any]]:
    """Return the rows of lines of metrics.jsonl, up to the first that is not whole."""
    rows = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            break
        if not (isinstance(row, dict) and row.keys() >= _IN_EVERY_ROW):
            break
        rows.append(row)
    return rows


@contextmanager
def _alone(path: Path, lock: str, limit: float) -> Iterator[None]:
    """Hold a lock of a run directory, made if it is not there.

    Raises InUseError if another process does not leave it, RunDirectoryError if there can be none.
    """
    with ExitStack() as held:
        try:
            path.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(path / lock, _in_use(path), limit, mode=0o644))
        except OSError as error:
            raise RunDirectoryError(f"cannot make {path}: {error.strerror}") from None
        yield


def _in_use(path: Path) -> str:
    return f"{path}: another process writes this run; wait for its end, or end it"


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Say what of a run could not be written, and why: raises NotKeptError where the block raises OSError."""
    try:
        yield
    except OSError as error:
        raise NotKeptError(f"cannot write {path}: {error.strerror}; make room, then use --resume") from None


def _git_commit() -> str:
    """The commit of the checkout this package runs from, or "" where there is none."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()
