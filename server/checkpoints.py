"""What a run is resumed from: whole rounds, in the run directory.

runs/<name>/checkpoints/round-000123/
    seat-<i>.safetensors   every agent's weights, as it begins the next round; i is the member's number
    strategy.safetensors   the arrays of the strategy's state, where it has some
    checkpoint.json        round, steps, seats; how far each of several teams is; the numbers of the strategy's state,
                           and the names of its arrays
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from operations.files import replacing_folder
from server.run_directory import RunDirectoryError, checkpoints_path, keeping
from strategies.state import State

_KEPT = 3  # rounds
_STATE = "strategy.safetensors"


@dataclass(frozen=True)
class TeamsProgress:
    """How far each of several teams is, and evaluations that some have yet to come to."""

    steps: list[int]  # environment steps of each team
    evaluations: dict[str, Any]  # as server.evaluations has it


@dataclass(frozen=True)
class Checkpoint:
    """A whole round: what the next one begins with."""

    round: int
    steps: int  # environment steps of the run, of a team on average
    agents: dict[int, dict[str, NDArray[np.float32]]]  # member's number -> tensors
    strategy: State | None = None  # what the strategy keeps beside them; None: from before checkpoints held it
    teams: TeamsProgress | None = None  # of a run of several teams


def save_checkpoint(run: Path, checkpoint: Checkpoint) -> None:
    """Keep a round in a run directory, whole or not at all; of the older ones a few are kept. Raises NotKeptError."""
    final = checkpoints_path(run) / f"round-{checkpoint.round:06d}"
    with keeping(final), replacing_folder(final) as folder:
        for seat, tensors in checkpoint.agents.items():
            (folder / f"seat-{seat}.safetensors").write_bytes(save(tensors))
        document = {"round": checkpoint.round, "steps": checkpoint.steps, "seats": sorted(checkpoint.agents)}
        if checkpoint.teams is not None:
            document["teams"] = {"steps": checkpoint.teams.steps, "evaluations": checkpoint.teams.evaluations}
        if checkpoint.strategy is not None:
            # safetensors writes an array's memory as it lies
            arrays = {
                name: np.array(value, order="C")
                for name, value in checkpoint.strategy.items()
                if isinstance(value, np.ndarray)
            }
            numbers = {name: value for name, value in checkpoint.strategy.items() if name not in arrays}
            document["strategy"] = {"numbers": numbers, "arrays": list(arrays)}
            if arrays:
                (folder / _STATE).write_bytes(save(arrays))
        (folder / "checkpoint.json").write_text(json.dumps(document), encoding="utf-8")
    for old in whole_checkpoints(run)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def whole_checkpoints(path: Path) -> list[Path]:
    """Return a run directory's checkpoints, oldest first."""
    return sorted(p for p in checkpoints_path(path).glob("round-[0-9]*") if p.suffix != ".tmp")


def newest_checkpoint_steps(path: Path) -> int:
    """Return the environment steps up to the newest whole checkpoint; 0 if there is none.

    Raises RunDirectoryError if it cannot be read.
    """
    found = whole_checkpoints(path)
    if not found:
        return 0
    try:
        return int(_document(found[-1])["steps"])
    except Exception as error:
        raise _damaged(found[-1], error) from None


def newest_checkpoint(path: Path) -> Checkpoint | None:
    """Return the newest whole checkpoint of a run directory, or None if no round was finished.

    Raises RunDirectoryError if it cannot be read.
    """
    found = whole_checkpoints(path)
    if not found:
        return None
    try:
        document = _document(found[-1])
        agents = {seat: load_file(found[-1] / f"seat-{seat}.safetensors") for seat in document["seats"]}
        strategy = _read_state(found[-1], document)
        teams = document.get("teams")
        progress = None if teams is None else TeamsProgress(list(teams["steps"]), dict(teams["evaluations"]))
    except Exception as error:
        raise _damaged(found[-1], error) from None
    return Checkpoint(document["round"], document["steps"], agents, strategy, progress)


def _read_state(checkpoint: Path, document: dict[str, Any]) -> State | None:
    """Return the strategy's state. Raises ValueError and others if it is not whole."""
    if "strategy" not in document:
        return None
    numbers, names = document["strategy"]["numbers"], document["strategy"]["arrays"]
    arrays = load_file(checkpoint / _STATE) if names else {}
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"{_STATE} lacks {', '.join(missing)}")
    if wrong := [name for name, value in numbers.items() if not isinstance(value, int | float)]:
        raise ValueError(f"{', '.join(wrong)} is not a number")
    return {**{name: arrays[name] for name in names}, **numbers}


def _document(checkpoint: Path) -> dict[str, Any]:
    return dict(json.loads((checkpoint / "checkpoint.json").read_text(encoding="utf-8")))


def _damaged(checkpoint: Path, error: Exception) -> RunDirectoryError:
    return RunDirectoryError(f"{checkpoint} is damaged ({error}); remove it to resume from the one before")
