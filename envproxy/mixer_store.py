"""What the env proxy keeps of a run's joint mixer, so that the run can be resumed.

$PPS_HOME/mixers/<run id>/
    round-000123.safetensors    mixer, target mixer, optimiser; in its metadata counters and the random state
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

log = logging.getLogger("envproxy")

MIXERS = "mixers"
_KEPT = 3  # rounds: as many as there are checkpoints to resume from

Tensors = dict[str, NDArray[np.float32]]


class MixerStore:
    """One run's folder. Made when it is first written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, round_: int, tensors: Tensors, state: dict[str, Any]) -> None:
        """Keep what the mixer is in a round, whole or not at all. Raises OSError."""
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        final = self._path / f"round-{round_:06d}.safetensors"
        temporary = final.with_suffix(".tmp")
        with open(temporary, "wb") as file:
            file.write(save(tensors, {"state": json.dumps(state)}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, final)
        for old in self._kept()[:-_KEPT]:
            old.unlink(missing_ok=True)

    def load(self, up_to: int) -> tuple[Tensors, dict[str, Any]] | None:
        """Return what was kept last up to a round, None if there is nothing that can be read."""
        for path in reversed(self._kept()):
            if path.stem > f"round-{up_to:06d}":
                continue
            try:
                content = path.read_bytes()
                header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
                return load(content), dict(json.loads(header["__metadata__"]["state"]))
            except Exception as error:
                log.warning("%s cannot be read (%s)", path, error)
        return None

    def _kept(self) -> list[Path]:
        return sorted(self._path.glob("round-*.safetensors"))
