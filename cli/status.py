"""`pps-qmix status`: where a run is, and the devices of this machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cli.plain_console import PlainConsole
from operations.home import pps_home
from operations.paths import shown, user_path
from pps_qmix.configuration import default_config
from pps_qmix.status import (
    BROKEN,
    FINISHED,
    RUNNING,
    STOPPED,
    DeviceStatus,
    RunStatus,
    device_statuses,
    named_run,
    newest_run,
    run_status,
)
from server.report.summary import spread_of
from server.report.words import percent

_NAMED = 3  # other runs with devices here


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
    here = list(device_statuses(pps_home()))
    devices = here if found is None else [device for device in here if device.run_id == found.id]
    if options.json:
        said = {
            "run": None if found is None else dataclasses.asdict(found),
            "devices": [dataclasses.asdict(device) for device in devices],
        }
        print(json.dumps(said))
    else:
        console = PlainConsole()
        lines = [f"no run in {options.runs}"] if found is None else _run_lines(found)
        others = sorted({device.run for device in here if device not in devices})
        for line in [*lines, *_device_lines(devices, found, pps_home()), *_other_lines(others)]:
            console.say(shown(line))
    return 1 if found is not None and found.state == BROKEN else 0


def _wanted(name: str | None, runs: Path) -> Path | None:
    """Return the run directory that is meant, None if there is none at all. Raises RunDirectoryError."""
    return newest_run(runs) if name is None else named_run(name, runs)


def _run_lines(run: RunStatus) -> Iterator[str]:
    yield f"run {run.run}: {run.state}{'' if run.problem is None else f', {run.problem}'}"
    if run.map is not None:
        several = f"{run.teams} teams, " if run.teams not in (None, 1) else ""
        yield f"  {run.map}, {several}{run.strategy}, {run.base}; began {run.began}"
    if run.steps is not None:
        share = percent(min(1.0, run.steps / run.total_steps)) if run.total_steps else ""
        of = f" of {run.total_steps:,} ({share})" if share else ""
        yield f"  {run.steps:,} steps{of}, round {run.round}"
    if run.evaluation is not None:
        yield f"  last test: {_test(run.evaluation)}"
    if run.row_age is not None:
        yield f"  last row {_ago(run.row_age)}; newest checkpoint: {run.checkpoint or 'none'}"
    if run.missing:
        yield f"  missing in round {run.round}: seat {', '.join(map(str, run.missing))}"
    for seat, reason in run.rejected.items():
        yield f"  left out of round {run.round}: seat {seat}: {reason}"


def _device_lines(devices: list[DeviceStatus], run: RunStatus | None, home: Path) -> Iterator[str]:
    """The devices of a run, or of all runs if `run` is None."""
    yield f"devices in {home}:{'' if devices else ' none'}"
    for device in devices:
        name = f"{device.run}/{device.run_id} " if run is None else ""
        team = "" if device.team is None else f"team {device.team}, "
        which = f"  {name}{team}seat {device.seat}: {_activity(device, run)}"
        if device.problem is not None:
            yield f"{which}; {device.problem}"
        elif device.round is None:
            yield f"{which}; no round kept yet"
        else:
            kept = "" if device.age is None else f", kept {_ago(device.age)}"
            yield f"{which}; round {device.round}, buffer {device.battles} of {device.capacity} battles{kept}"


def _activity(device: DeviceStatus, run: RunStatus | None) -> str:
    """Whether a device works; of an idle one, why: its run is finished or stopped."""
    if device.agent:
        return "agent process runs"
    if run is not None and run.state in (FINISHED, STOPPED):
        return f"idle, {run.state}"
    if run is not None and run.state == RUNNING and run.runtime == "in-process":
        return "plays in the process of the run"
    return "no agent process"


def _other_lines(runs: list[str]) -> Iterator[str]:
    if runs:
        more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
        yield f"devices of other runs: {', '.join(runs[:_NAMED])}{more} (pps-qmix status RUN)"


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _test(evaluation: Mapping[str, Any]) -> str:
    """The last evaluation in words; a row that was written by another program may hold anything."""
    rate, return_, steps = (evaluation.get(name) for name in ("win-rate", "return", "steps"))
    if not (isinstance(rate, float | int) and isinstance(return_, float | int) and isinstance(steps, int)):
        return "cannot be read"
    spread = spread_of(evaluation, "win-rate")
    return f"win rate {percent(rate)}{spread}, return {return_:.2f}, at step {steps:,}"
