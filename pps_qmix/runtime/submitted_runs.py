"""Which runs were submitted to a SuperLink, as their directories say: one at a time plays an arena of its devices."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from operations.files import replace_file
from operations.paths import shown
from pps_qmix.configuration import Value, default_config
from pps_qmix.requested_run import RequestedRun
from pps_qmix.runtime.processes import PartFailedError
from server.checkpoints import newest_checkpoint_steps
from server.flower_internals import STOPPED_WITHIN
from server.run_directory import RunDirectoryError, has_run, is_held, read_run

COMPOSE_PROJECT = "PPS_COMPOSE_PROJECT"  # in a container of compose.yaml: whose SuperLink is called

_FILE = "submitted.json"
_LOOK_EVERY = 0.2  # seconds


@dataclass(frozen=True)
class _Before:
    """A run that was submitted here before."""

    path: Path
    settings: Mapping[str, Value]
    steps: int
    total_steps: int


def make_way(chosen: RequestedRun, address: str, tell: Callable[[str], None]) -> None:
    """Say where the run before this one has ended, and note that this one is submitted.

    Raises PartFailedError if a run is being played in its arena.
    """
    where = _where(address)
    others = [run for run in _submitted(chosen.path.parent, where) if run.path != chosen.path]
    for run in others:
        if run.settings.get("arena") == chosen.settings.arena:
            _see_ended(run, address, tell)
    if others and others[-1].steps < others[-1].total_steps:
        last = others[-1]
        tell(
            f"the run before, {last.path.name}, ended at step {last.steps:,} of {last.total_steps:,}; "
            f"resume it later with {_resume(last)}{_beside()}"
        )
    (chosen.path / "logs").mkdir(parents=True, exist_ok=True)
    replace_file(chosen.path / "logs" / _FILE, json.dumps({"superlink": where}).encode())


def resume_hint(chosen: RequestedRun) -> str:
    """Return how to resume a run that was stopped, or that it has not begun."""
    run = _run(chosen.path)
    if run is None:
        return f"{chosen.path.name} has not begun"
    return f"{chosen.path.name} was stopped at step {run.steps:,} of {run.total_steps:,}; resume it with {_resume(run)}"


def _see_ended(run: _Before, address: str, tell: Callable[[str], None]) -> None:
    """Wait a while until no process writes a run. Raises PartFailedError if one still does."""
    deadline = time.monotonic() + STOPPED_WITHIN
    while is_held(run.path):
        if time.monotonic() > deadline:
            place = "in this compose project" if _in_compose() else f"on the SuperLink at {address}"
            raise PartFailedError(
                f"the run {run.path.name} is played {place}, at step {run.steps:,} of {run.total_steps:,}; devices "
                f"play one run at a time: wait for its end, or stop it with {_how_to_stop()}{_beside()}"
            )
        if deadline - time.monotonic() > STOPPED_WITHIN - _LOOK_EVERY:
            tell(f"waiting for the end of the run {run.path.name}")
        time.sleep(_LOOK_EVERY)


def _how_to_stop() -> str:
    return "docker compose stop experiment superexec" if _in_compose() else "flwr stop"


def _beside() -> str:
    return "; COMPOSE_PROJECT_NAME=OTHER plays another beside it" if _in_compose() else ""


def _resume(run: _Before) -> str:
    if not _in_compose():
        return f"--resume {shown(run.path)}"
    defaults = default_config()
    named = {"MAP": run.settings.get("map")}  # what the env proxy needs to know, too
    named |= {
        name.upper(): value
        for name in ("battles", "rules")
        if (value := run.settings.get(name, defaults[name])) != defaults[name]
    }
    words = [f"{name}={shlex.quote(str(value))}" for name, value in named.items()]
    return " ".join([*words, f"SETTINGS='--resume {run.path.name}' docker compose up experiment"])


def _in_compose() -> bool:
    return bool(os.environ.get(COMPOSE_PROJECT))


def _where(address: str) -> str:
    """Return what tells this SuperLink from another: in every compose project one has the same address."""
    return f"{os.environ.get(COMPOSE_PROJECT, '')}/{address}"


def _submitted(runs: Path, where: str) -> list[_Before]:
    """Return the runs of a folder that were submitted there, in the order of that."""
    found = sorted(runs.glob(f"*/logs/{_FILE}"), key=lambda path: path.stat().st_mtime)
    return [run for path in found if _says(path) == where and (run := _run(path.parents[1])) is not None]


def _says(path: Path) -> object:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document.get("superlink") if isinstance(document, dict) else None


def _run(path: Path) -> _Before | None:
    """Return what a run directory says, None if no run has begun in it."""
    if not has_run(path):
        return None
    try:
        settings = read_run(path)["settings"]
    except RunDirectoryError:
        return None
    return _Before(path, settings, newest_checkpoint_steps(path), int(settings.get("total-steps", 0)))
