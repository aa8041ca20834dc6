"""A board in shared memory: how far each arena is, and whether what plays it is alive.

Every process of an env proxy writes the rows of the arenas that it plays, and reads all. So any of them can answer for
every arena.
"""

from __future__ import annotations

import mmap
import time
from typing import Final

import numpy as np

FRESH: Final = 10.0  # seconds that a row may go without a sign of life
_ROW: Final = np.dtype([("round", np.uint32), ("steps", np.uint64), ("alive", np.float64)], align=True)


class Row:
    """One arena's place on the board."""

    def __init__(self, board: np.ndarray[tuple[int], np.dtype[np.void]], index: int) -> None:
        self._round, self._steps, self._alive = (board[name][index : index + 1] for name in ("round", "steps", "alive"))

    @property
    def round_and_steps(self) -> tuple[int, int]:
        """The newest round, and the environment steps collected in it so far."""
        return int(self._round[0]), int(self._steps[0])

    @property
    def fresh(self) -> bool:
        """Whether there was a sign of life within the last `FRESH` seconds."""
        return time.monotonic() - float(self._alive[0]) <= FRESH

    def write(self, round_: int, steps: int) -> None:
        """Say how far the arena is."""
        self._round[0], self._steps[0] = round_, steps

    def live(self) -> None:
        """Give a sign of life."""
        self._alive[0] = time.monotonic()  # one clock for all processes of a machine


def board(arenas: int) -> list[Row]:
    """Return a row for each arena, in memory that is shared with the processes forked from this one."""
    shared = mmap.mmap(-1, max(1, arenas * _ROW.itemsize))
    rows = np.frombuffer(shared, _ROW, count=arenas)
    return [Row(rows, index) for index in range(arenas)]
