"""What the env proxy keeps of a run's joint mixing, so that the run can be resumed.

$PPS_HOME/mixers/<run id>/, of team t of several from 1 on <run id>t<t>/
    round-000123.safetensors        mixer, target mixer, optimiser; in its metadata counters, the random state, and
                                    in which of the files below the battles are that could be trained on
    battles-000123-0.safetensors    the battles that ended up to the end of the round's first phase, and after the one
                                    before it
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save

from operations.files import replace_file

log = logging.getLogger("envproxy")

MIXERS = "mixers"
_KEPT = 3  # rounds: as many as there are checkpoints to resume from

Tensors = dict[str, NDArray[np.float32]]
Arrays = dict[str, NDArray[Any]]


class MixerStore:
    """One run's folder. Made when it is first written."""

    def __init__(self, path: Path, capacity: int) -> None:
        """`capacity` is how many battles are of use: files that hold none of the newest so many are deleted."""
        self._path = path
        self._capacity = capacity
        self._files: list[tuple[str, int]] = []  # of battles, oldest first: name and number of battles

    def save(self, round_: int, tensors: Tensors, state: dict[str, Any], battles: Arrays) -> None:
        """Keep what the mixer is in a round, and battles that are new, whole or not at all. Raises OSError."""
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = self._files
        if battles:
            in_round = f"battles-{round_:06d}-"
            name = f"{in_round}{sum(known.startswith(in_round) for known, _ in files)}.safetensors"
            replace_file(self._path / name, save(battles))
            files = self._of_use([*files, (name, len(battles["battle"]))])
        document = {"state": json.dumps({**state, "battles": files})}  # one entry: of several the order is by chance
        replace_file(self._path / f"round-{round_:06d}.safetensors", save(tensors, document))
        self._files = files
        self._prune(round_)

    def load(self, up_to: int) -> tuple[Tensors, dict[str, Any]] | None:
        """Return what was kept last up to a round, None if there is nothing that can be read.

        `battles` then returns the battles that belong to it.
        """
        for path in reversed(self._rounds()):
            if path.stem > f"round-{up_to:06d}":
                continue
            try:
                tensors, state = load_file(path), _state(path)
            except Exception as error:
                log.warning("%s cannot be read (%s)", path, error)
                continue
            self._files = _battle_files(path)
            return tensors, state
        return None

    def battles(self) -> Iterator[Arrays]:
        """The battles of what was loaded, oldest first, as they were saved; a file that cannot be read is left out."""
        for name, _ in self._files:
            try:
                yield load_file(self._path / name)
            except Exception as error:
                log.warning("%s cannot be read (%s)", self._path / name, error)

    def _of_use(self, files: list[tuple[str, int]]) -> list[tuple[str, int]]:
        newer = sum(count for _, count in files)
        for first, (_, count) in enumerate(files):
            newer -= count
            if newer < self._capacity:
                return files[first:]
        return files

    def _prune(self, newest: int) -> None:
        """Delete all rounds but the last ones, those that are played again, and battles that belong to none."""
        rounds = self._rounds()
        last = [path for path in rounds if path.stem <= f"round-{newest:06d}"][-_KEPT:]
        of_use = {name for path in last for name, _ in _battle_files(path)}
        for path in [*rounds, *self._path.glob("battles-*.safetensors")]:
            if path not in last and path.name not in of_use:
                path.unlink(missing_ok=True)

    def _rounds(self) -> list[Path]:
        return sorted(self._path.glob("round-*.safetensors"))


def _state(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="numpy") as file:
        return dict(json.loads(file.metadata()["state"]))


def _battle_files(path: Path) -> list[tuple[str, int]]:
    """Names and numbers of battles of a round's files of battles, oldest first; none if that cannot be read."""
    try:
        return [(str(name), int(count)) for name, count in _state(path)["battles"]]
    except Exception as error:
        log.warning("%s does not say which battles belong to it (%s)", path, error)
        return []
