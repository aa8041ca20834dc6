"""Counters of a seat's agent process since its start, for those who monitor the device: a file, written every round."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from operations.files import replace_file


@dataclass
class DeviceCounters:
    """Sums over the rounds that this process has played; number and metrics of the last one."""

    battles: int = 0
    missed: int = 0
    training_steps: int = 0
    waiting: float = 0.0  # seconds, like the next two
    acting: float = 0.0
    learning: float = 0.0
    round: int = 0
    buffered: int = 0
    epsilon: float = 0.0
    loss: float | None = None  # None: no training step yet
    ended: float = 0.0  # of the last round; Unix time

    def add(self, round_: int, values: Mapping[str, Any]) -> None:
        """A round was played; `values` are what the agent reports of it."""
        self.battles += values["battles"]
        self.missed += values["missed"]
        self.training_steps += values["training-steps"]
        self.waiting += values["seconds-waiting"]
        self.acting += values["seconds-acting"]
        self.learning += values["seconds-learning"]
        self.round, self.buffered, self.epsilon = round_, values["buffered"], values["epsilon"]
        self.loss = values.get("loss", self.loss)
        self.ended = time.time()

    def save(self, path: Path) -> None:
        """Raises OSError."""
        replace_file(path, json.dumps(dataclasses.asdict(self)).encode())

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return what is in a file; None if it does not exist or holds something else."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
