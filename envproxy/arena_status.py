"""The status of arenas in shared memory: how far each is, and whether its process is alive.

Every process of an env proxy writes the status of the arenas that it plays, and reads all. So each can answer for
every arena.
"""

from __future__ import annotations

import mmap
import time
from typing import Final

import numpy as np

STALE_AFTER: Final = 10.0  # seconds without a heartbeat
_FIELDS: Final = np.dtype([("round", np.uint32), ("steps", np.uint64), ("alive", np.float64)], align=True)


class ArenaStatus:
    """One arena: its newest round, its environment steps, and when its process last ran."""

    def __init__(self, table: np.ndarray[tuple[int], np.dtype[np.void]], index: int) -> None:
        self._round, self._steps, self._alive = (table[name][index : index + 1] for name in ("round", "steps", "alive"))

    @property
    def round_and_steps(self) -> tuple[int, int]:
        """The newest round, and the environment steps collected in it so far."""
        return int(self._round[0]), int(self._steps[0])

    @property
    def is_alive(self) -> bool:
        """Whether there was a heartbeat within the last `STALE_AFTER` seconds."""
        return time.monotonic() - float(self._alive[0]) <= STALE_AFTER

    def write(self, round_: int, steps: int) -> None:
        """Set the newest round and the environment steps."""
        self._round[0], self._steps[0] = round_, steps

    def heartbeat(self) -> None:
        """Record that the process of the arena is alive."""
        self._alive[0] = time.monotonic()  # one clock for all processes of a machine


def shared_statuses(arenas: int) -> list[ArenaStatus]:
    """Return a status for each arena, in memory that is shared with the processes forked from this one."""
    shared = mmap.mmap(-1, max(1, arenas * _FIELDS.itemsize))
    rows = np.frombuffer(shared, _FIELDS, count=arenas)
    return [ArenaStatus(rows, index) for index in range(arenas)]
