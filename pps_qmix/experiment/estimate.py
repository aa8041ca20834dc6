"""About how long runs will take."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from pps_qmix.experiment.schedule import Entry
from server.settings import Settings

# Seconds of one core, measured in process on 3m and 2s3z; a machine's own runs tell better as soon as there are any.
_PLAYING = 1e-4  # an agent's step: its part of simulator, network and evaluations
_LEARNING = 1.6e-5  # a step of a battle of a batch, learnt from by an agent
_STARTING = 6.0  # a process


def seconds_per_step(settings: Settings, agents: int) -> float:
    """Return about what an environment step costs. Per finished battle, `train-per-battle` batches are learnt from."""
    return agents * (_PLAYING + _LEARNING * settings.train_per_battle * settings.batch_size)


def seconds_left(entry: Entry, agents: int, measured: float | None) -> float:
    """Return about how long a run has still to play; `measured` are the seconds per step of runs on its map."""
    if not entry.steps_left:
        return 0.0
    per_step = seconds_per_step(entry.run.settings, agents) if measured is None else measured
    return _STARTING + entry.steps_left * per_step


def seconds_of_all(runs: Sequence[float], jobs: int) -> float:
    """Return how long runs take in this order, `jobs` at once."""
    free_at = [0.0] * jobs
    for seconds in runs:
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)


def shown(seconds: float) -> str:
    """Return a time as a reader wants it: 40 s, 4.1 min, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.{1 if seconds < 600 else 0}f} min"
    return f"{seconds / 3600:.{1 if seconds < 100 * 3600 else 0}f} h"
