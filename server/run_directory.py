"""The run directory: what a run leaves behind, and what it is resumed from.

runs/<name>/
    run.json               settings, versions, seed, git commit, an id of its own
    metrics.jsonl          one row per evaluation and per round
    events.out.tfevents.*  the same numbers for TensorBoard
    curve.png              win rate and return against environment steps
    report.html            what the run was and what came of it
    checkpoints/round-000123/
        seat-<i>.safetensors   every agent's weights, as it begins the next round
        checkpoint.json        round, steps, seats
    lock                   held by the process that writes here
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from server.settings import Settings, SettingsError, Value, check_settings

_KEPT_CHECKPOINTS = 3
_LOCK_LIMIT = 10.0  # seconds to wait for whoever wrote here before: a ServerApp outlives its SuperLink for a moment
_MAY_CHANGE = {  # on resume
    *("total-steps", "resume", "run", "runs", "seat-timeout", "round-timeout", "threads", "device", "attest-key"),
}


class RunDirectoryError(Exception):
    """The run directory cannot be used; the message says why and what to do."""


class NotKeptError(RunDirectoryError):
    """What a run brought forth cannot be written (the disk is full, say); what was kept before is whole."""


class InUseError(RunDirectoryError):
    """Another process writes to the run directory."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole round: what the next one begins with."""

    round: int
    steps: int  # environment steps of the run
    agents: dict[int, dict[str, NDArray[np.float32]]]  # seat -> tensors


class RunDirectory:
    """`runs/<name>/`."""

    def __init__(self, path: Path, run_id: str, settings: Settings) -> None:
        self.path = path
        self.run_id = run_id
        self.settings = settings
        self._metrics = metrics_path(path)
        self._checkpoints = path / "checkpoints"

    @classmethod
    def create(cls, settings: Settings) -> RunDirectory:
        """Make the directory of a new run. Raises RunDirectoryError if it holds a run already or cannot be made."""
        name = settings.run or run_name(settings)
        settings = settings.model_copy(update={"run": name})
        directory = cls(Path(settings.runs).expanduser().absolute() / name, secrets.token_hex(8), settings)
        if (directory.path / "run.json").exists():
            raise already_there(directory.path)
        try:
            (directory.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            directory._write_json("run.json", directory._document())
        except OSError as error:
            raise RunDirectoryError(f"cannot make {directory.path}: {error.strerror}") from None
        return directory

    @classmethod
    def resume(cls, settings: Settings, given: Mapping[str, Value]) -> RunDirectory:
        """Open the directory of a run that is to go on, with the settings it began with and those `given` now.

        Raises RunDirectoryError if there is no such run or it cannot be written, SettingsError if a given setting
        must not change.
        """
        path = Path(settings.runs).expanduser().absolute() / settings.run
        document = read_run(path)
        kept: dict[str, Value] = {**settings.config(), **document["settings"]}  # some may be newer than the run
        check_unchanged(kept, given)
        changed = {name: value for name, value in given.items() if name in _MAY_CHANGE}
        merged = check_settings({**kept, **changed, "runs": settings.runs, "run": settings.run, "resume": True})
        directory = cls(path, document["id"], merged)
        with _keeping(path / "run.json"):
            directory._write_json("run.json", {**document, "settings": merged.config()})
        return directory

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row to metrics.jsonl. Raises NotKeptError."""
        with _keeping(self._metrics), open(self._metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of metrics.jsonl; a last line cut by a crash is left out."""
        return read_rows(self.path)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a round whole or not at all; of the older ones a few are kept. Raises NotKeptError."""
        final = self._checkpoints / f"round-{checkpoint.round:06d}"
        temporary = final.with_suffix(".tmp")
        with _keeping(final):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            for seat, tensors in checkpoint.agents.items():
                _write(temporary / f"seat-{seat}.safetensors", save(tensors))
            document = {"round": checkpoint.round, "steps": checkpoint.steps, "seats": sorted(checkpoint.agents)}
            _write(temporary / "checkpoint.json", json.dumps(document).encode())
            shutil.rmtree(final, ignore_errors=True)
            os.replace(temporary, final)
        for old in whole_checkpoints(self.path)[:-_KEPT_CHECKPOINTS]:
            shutil.rmtree(old, ignore_errors=True)

    def drop_after(self, round_: int) -> None:
        """Forget the metrics of rounds after `round_`: they will be played again. Raises NotKeptError."""
        kept = [row for row in self.rows() if row["round"] <= round_]
        temporary = self._metrics.with_suffix(".tmp")
        with _keeping(self._metrics):
            _write(temporary, "".join(json.dumps(row) + "\n" for row in kept).encode())
            os.replace(temporary, self._metrics)

    def _document(self) -> dict[str, Any]:
        packages = ("pps-qmix", "flwr", "torch", "numpy")
        return {
            "id": self.run_id,
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": self.settings.config(),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
            "commit": _git_commit(),
        }

    def _write_json(self, name: str, document: Mapping[str, Any]) -> None:
        temporary = self.path / f"{name}.tmp"
        _write(temporary, json.dumps(document, indent=1).encode())
        os.replace(temporary, self.path / name)


@contextmanager
def open_run(settings: Settings, given: Mapping[str, Value]) -> Iterator[RunDirectory]:
    """Make the run's directory, or open it if the run is to be resumed, and keep other writers out meanwhile.

    Raises as `RunDirectory.create` and `RunDirectory.resume` do, and InUseError if another process does not leave it.
    """
    settings = settings.model_copy(update={"run": settings.run or run_name(settings)})
    path = Path(settings.runs).expanduser().absolute() / settings.run
    if settings.resume:
        read_run(path)  # or the lock would make a folder of what is no run
    with _only_writer(path, _LOCK_LIMIT):
        yield RunDirectory.resume(settings, given) if settings.resume else RunDirectory.create(settings)


def check_free(path: Path) -> None:
    """Raise InUseError if a process writes to this run directory now."""
    if is_held(path):
        raise _in_use(path)


def is_held(path: Path) -> bool:
    """Say whether a process of this machine writes in a run directory."""
    try:
        descriptor = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def run_name(settings: Settings) -> str:
    """Return a name for a run: what it is and when it began."""
    began = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{settings.map}-{settings.method}-{settings.base}-s{settings.seed}-{began}"


def already_there(path: Path) -> RunDirectoryError:
    """Return the error of a new run whose directory holds a run already."""
    return RunDirectoryError(f"{path} holds a run: choose another name (run), or continue it with --resume {path.name}")


def check_unchanged(kept: Mapping[str, Value], given: Mapping[str, Value]) -> None:
    """Raise SettingsError if a setting `given` for a resumed run must not differ from that it was `kept` with."""
    for name, value in given.items():
        if name not in _MAY_CHANGE and kept.get(name) != value:
            raise SettingsError(f"{name}: the run began with {kept.get(name)!r}, a resumed run cannot change it")


def read_run(path: Path) -> dict[str, Any]:
    """Return run.json. Raises RunDirectoryError if `path` is not a run directory."""
    try:
        document = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("settings"), dict) or "id" not in document:
        raise RunDirectoryError(f"{path} is not a run directory: it has no readable run.json")
    return document


def metrics_path(path: Path) -> Path:
    """Return where a run directory has its rows."""
    return path / "metrics.jsonl"


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
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def whole_checkpoints(path: Path) -> list[Path]:
    """Return a run directory's checkpoints, oldest first."""
    return sorted(p for p in (path / "checkpoints").glob("round-[0-9]*") if p.suffix != ".tmp")


def newest_checkpoint_steps(path: Path) -> int:
    """Return the environment steps up to the newest whole checkpoint; 0 if there is none."""
    found = whole_checkpoints(path)
    return int(json.loads((found[-1] / "checkpoint.json").read_text(encoding="utf-8"))["steps"]) if found else 0


def newest_checkpoint(path: Path) -> Checkpoint | None:
    """Return the newest whole checkpoint of a run directory, or None if no round was finished.

    Raises RunDirectoryError if it cannot be read.
    """
    found = whole_checkpoints(path)
    if not found:
        return None
    try:
        document = json.loads((found[-1] / "checkpoint.json").read_text(encoding="utf-8"))
        agents = {seat: load_file(found[-1] / f"seat-{seat}.safetensors") for seat in document["seats"]}
    except Exception as error:
        raise RunDirectoryError(f"{found[-1]} is damaged ({error}); remove it to go on from the one before") from None
    return Checkpoint(document["round"], document["steps"], agents)


@contextmanager
def _only_writer(path: Path, limit: float) -> Iterator[None]:
    """Hold the lock of a run directory, which ends with the process if nothing else ends it.

    Raises InUseError if another process still has it after `limit` seconds, RunDirectoryError if there can be none.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RunDirectoryError(f"cannot make {path}: {error.strerror}") from None
    deadline = time.monotonic() + limit
    try:
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                raise _in_use(path)
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    """Lock a file unless somebody else has it locked; where a file system has no locks, nobody has."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _in_use(path: Path) -> InUseError:
    return InUseError(f"{path}: another process writes this run; wait for its end, or end it")


@contextmanager
def _keeping(path: Path) -> Iterator[None]:
    """Say what could not be written, and why."""
    try:
        yield
    except OSError as error:
        raise NotKeptError(f"cannot write {path}: {error.strerror}; make room, then go on with --resume") from None


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


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
