"""Where a run is, and the devices of this machine, as their files and processes say."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.device import DeviceDirectory, device_directories
from operations.paths import real_path, user_path
from server.checkpoints import whole_checkpoints
from server.run_directory import RunDirectoryError, document_path, is_held, metrics_path, read_rows, read_run

_OF_EVALUATION = ("steps", "win-rate", "return", "spread")
BROKEN, RUNNING, FINISHED, STOPPED = "broken", "running", "finished", "stopped"


@dataclass(frozen=True)
class RunStatus:
    """A run directory. None where it does not say."""

    run: str
    id: str | None
    path: str
    state: str
    problem: str | None  # of a broken one
    map: str | None
    teams: int | None
    strategy: str | None
    base: str | None
    began: str | None
    runtime: str | None  # that played it last
    round: int | None
    steps: int | None
    total_steps: int | None
    evaluation: dict[str, Any] | None  # the last one: steps, win-rate, return; of several teams their spread
    row_age: float | None  # seconds since the last row was written
    checkpoint: str | None  # the newest whole one
    rejected: dict[str, Any]  # seat -> reason, in the last round
    missing: list[Any]  # seats, in the last round


@dataclass(frozen=True)
class DeviceStatus:
    """A device directory. None where it does not say."""

    run: str
    run_id: str
    seat: int
    team: int | None  # None in a run of one team
    path: str
    agent: bool  # whether the agent process answers
    problem: str | None
    round: int | None
    battles: int | None  # in the buffer
    capacity: int | None
    age: float | None  # seconds since the agent's state was kept


def run_status(path: Path) -> RunStatus:
    """Read a run directory, as far as it can be read."""
    document: Mapping[str, Any] = {}
    problem = None
    rows: list[dict[str, Any]] = []
    try:
        document = read_run(path)
        rows = [row for row in read_rows(path) if isinstance(row, dict)]
    except (RunDirectoryError, OSError) as error:
        problem = str(error)
    settings = _mapping(document.get("settings"))
    last = _last(rows, "round")
    evaluation = _last(rows, "evaluation")
    steps, total = _whole(last.get("steps")), _whole(settings.get("total-steps"))
    checkpoints = whole_checkpoints(path)
    return RunStatus(
        run=path.name,
        id=_text(document.get("id")),
        path=str(path),
        state=BROKEN if problem is not None else state_of(path, steps, total),
        problem=problem,
        map=_text(settings.get("map")),
        teams=_whole(settings.get("teams", 1)),
        strategy="centralised" if settings.get("centralised") is True else _text(settings.get("strategy")),
        base=_text(settings.get("base")),
        began=_text(document.get("began")),
        runtime=_text(document.get("runtime")),
        round=_whole(last.get("round")),
        steps=steps,
        total_steps=total,
        evaluation={name: evaluation[name] for name in _OF_EVALUATION if name in evaluation} if evaluation else None,
        row_age=_age(metrics_path(path)),
        checkpoint=checkpoints[-1].name if checkpoints else None,
        rejected=dict(_mapping(last.get("rejected"))),
        missing=list(last["missing"]) if isinstance(last.get("missing"), list) else [],
    )


def device_statuses(home: Path) -> Iterator[DeviceStatus]:
    """Read all device directories in $PPS_HOME, by run and seat."""
    return map(_device_status, device_directories(home))


def _device_status(directory: DeviceDirectory) -> DeviceStatus:
    assert directory.seat is not None  # the directory is of a member
    path = directory.path
    state: Mapping[str, Any] = {}
    problem, answers = None, False
    try:
        answers = directory.answers()
        state = _mapping(json.loads((path / "agent.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        pass  # no round has been kept yet
    except (OSError, ValueError) as error:
        problem = f"{path / 'agent.json'} cannot be read: {error}"
    return DeviceStatus(
        run=directory.run,
        run_id=directory.run_id,
        seat=directory.seat,
        team=directory.team,
        path=str(path),
        agent=answers,
        problem=problem,
        round=_whole(state.get("round")),
        battles=_whole(_mapping(state.get("buffer")).get("count")),
        capacity=_whole(_mapping(state.get("settings")).get("buffer_size")),
        age=_age(path / "agent.json"),
    )


def named_run(name: str, runs: Path) -> Path:
    """Return the folder that a user names, or that of the run in `runs` with this name. Raises RunDirectoryError."""
    for path in (user_path(name), runs / name) if name else ():
        if path.is_dir():
            return real_path(path)
    raise RunDirectoryError(f"unknown run {name!r}: expected a run directory, or the name of a run in {runs}")


def newest_run(runs: Path) -> Path | None:
    """Return the run directory in `runs` that was written last, None if the folder holds no run."""
    found = [path.parent for path in runs.glob(str(document_path(Path("*"))))]
    return real_path(max(found, key=changed)) if found else None


def changed(path: Path) -> float:
    """Return when a run last wrote a row, or began, in seconds since the epoch."""
    return max(_modified(file) or 0.0 for file in (document_path(path), metrics_path(path)))


def state_of(path: Path, steps: int | None, total: int | None) -> str:
    """Return the state of a run directory that can be read; `steps` of `total` are in its whole rounds."""
    if is_held(path):
        return RUNNING
    return FINISHED if steps is not None and total is not None and steps >= total else STOPPED


def _last(rows: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next((row for row in reversed(rows) if row.get("kind") == kind), {})


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _age(path: Path) -> float | None:
    modified = _modified(path)
    return None if modified is None else max(time.time() - modified, 0.0)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
