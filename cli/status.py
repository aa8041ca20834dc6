"""`pps-qmix status`: where a run is, and the devices of this machine, as their files and processes say."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.defaults import default_config
from cli.plain_console import PlainConsole
from client.device import DeviceDirectory, device_directories
from operations.home import pps_home
from operations.paths import real_path, shown, user_path
from server.checkpoints import whole_checkpoints
from server.run_directory import RunDirectoryError, document_path, is_held, metrics_path, read_rows, read_run

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
    strategy: str | None
    base: str | None
    began: str | None
    round: int | None
    steps: int | None
    total_steps: int | None
    evaluation: dict[str, Any] | None  # the last one: steps, win-rate, return
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
    path: str
    agent: bool  # whether the agent process answers
    problem: str | None
    round: int | None
    battles: int | None  # in the buffer
    capacity: int | None
    age: float | None  # seconds since the agent's state was kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    runs = default_config()["runs"]
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="a run: its folder, or its name in --runs (default: the newest there)"
    )
    parser.add_argument(
        "--runs", type=user_path, default=Path(str(runs)), help="folder of the runs (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="say it as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the status; return 1 if the run directory is broken. Raises RunDirectoryError if there is no such run."""
    path = _wanted(options.run, options.runs)
    found = None if path is None else run_status(path)
    devices = list(device_statuses(pps_home()))
    if options.run is not None and found is not None:
        devices = [device for device in devices if device.run_id == found.id]
    if options.json:
        said = {
            "run": None if found is None else dataclasses.asdict(found),
            "devices": [dataclasses.asdict(device) for device in devices],
        }
        print(json.dumps(said))
    else:
        console = PlainConsole()
        lines = [f"no run in {options.runs}"] if found is None else _run_lines(found)
        for line in [*lines, *_device_lines(devices, pps_home())]:
            console.say(shown(line))
    return 1 if found is not None and found.state == BROKEN else 0


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
        state=_state(path, problem, steps, total),
        problem=problem,
        map=_text(settings.get("map")),
        strategy="centralised" if settings.get("centralised") is True else _text(settings.get("strategy")),
        base=_text(settings.get("base")),
        began=_text(document.get("began")),
        round=_whole(last.get("round")),
        steps=steps,
        total_steps=total,
        evaluation={name: evaluation.get(name) for name in ("steps", "win-rate", "return")} if evaluation else None,
        row_age=_age(metrics_path(path)),
        checkpoint=checkpoints[-1].name if checkpoints else None,
        rejected=dict(_mapping(last.get("rejected"))),
        missing=list(last["missing"]) if isinstance(last.get("missing"), list) else [],
    )


def device_statuses(home: Path) -> Iterator[DeviceStatus]:
    """Read all device directories in $PPS_HOME, by run and seat."""
    return map(_device_status, device_directories(home))


def _device_status(directory: DeviceDirectory) -> DeviceStatus:
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
        path=str(path),
        agent=answers,
        problem=problem,
        round=_whole(state.get("round")),
        battles=_whole(_mapping(state.get("buffer")).get("count")),
        capacity=_whole(_mapping(state.get("settings")).get("buffer_size")),
        age=_age(path / "agent.json"),
    )


def _wanted(name: str | None, runs: Path) -> Path | None:
    """Return the run directory that is meant, None if there is none at all. Raises RunDirectoryError."""
    if name is not None:
        for path in (user_path(name), runs / name) if name else ():
            if path.is_dir():
                return real_path(path)
        raise RunDirectoryError(f"there is no run {name!r}, as a folder or in {runs}")
    found = [path.parent for path in runs.glob(str(document_path(Path("*"))))]
    return real_path(max(found, key=_changed)) if found else None


def _changed(path: Path) -> float:
    """When a run last wrote a row, or began."""
    return max(_modified(file) or 0.0 for file in (document_path(path), metrics_path(path)))


def _state(path: Path, problem: str | None, steps: int | None, total: int | None) -> str:
    if problem is not None:
        return BROKEN
    if is_held(path):
        return RUNNING
    return FINISHED if steps is not None and total is not None and steps >= total else STOPPED


def _run_lines(run: RunStatus) -> Iterator[str]:
    yield f"run {run.run}: {run.state}{'' if run.problem is None else f', {run.problem}'}"
    if run.map is not None:
        yield f"  {run.map}, {run.strategy}, {run.base}; began {run.began}"
    if run.steps is not None:
        of = "" if not run.total_steps else f" of {run.total_steps:,} ({run.steps / run.total_steps:.0%})"
        yield f"  {run.steps:,} steps{of}, round {run.round}"
    if run.evaluation is not None:
        yield "  last evaluation: " + ", ".join(f"{name} {_short(value)}" for name, value in run.evaluation.items())
    if run.row_age is not None:
        yield f"  last row {_ago(run.row_age)}; newest checkpoint: {run.checkpoint or 'none'}"
    if run.missing:
        yield f"  missing in round {run.round}: seat {', '.join(map(str, run.missing))}"
    for seat, reason in run.rejected.items():
        yield f"  left out of round {run.round}: seat {seat}: {reason}"


def _device_lines(devices: list[DeviceStatus], home: Path) -> Iterator[str]:
    yield f"devices in {home}:{'' if devices else ' none'}"
    for device in devices:
        agent = "agent process answers" if device.agent else "no agent process"
        which = f"  {device.run}/{device.run_id} seat {device.seat}: {agent}"
        if device.problem is not None:
            yield f"{which}; {device.problem}"
        elif device.round is None:
            yield f"{which}; no round kept yet"
        else:
            kept = "" if device.age is None else f", kept {_ago(device.age)}"
            battles = f"{device.battles} of {device.capacity} battles"
            yield f"{which}; round {device.round}, {battles}{kept}"


def _last(rows: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next((row for row in reversed(rows) if row.get("kind") == kind), {})


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _short(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


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
