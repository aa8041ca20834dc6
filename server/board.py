"""Writes the rows of metrics.jsonl for TensorBoard, too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.summary import Writer


class Board:
    """TensorBoard events in a run directory; every scalar is over environment steps."""

    def __init__(self, path: Path) -> None:
        self._writer = Writer(str(path))

    def add(self, row: Mapping[str, Any]) -> None:
        """Write every number of a row: `evaluation/win-rate`, `round/seconds/learning`, `round/seats/0/loss`, ..."""
        self._add(str(row["kind"]), row, int(row["steps"]))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _add(self, tag: str, values: Mapping[str, Any], step: int) -> None:
        for name, value in values.items():
            if isinstance(value, Mapping):
                self._add(f"{tag}/{name}", value, step)
            elif isinstance(value, int | float) and name != "steps":
                self._writer.add_scalar(f"{tag}/{name}", float(value), step)
