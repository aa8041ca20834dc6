"""What a seat and an arena say to each other, as plain values. `envproxy.wire` puts them on gRPC.

seat                     arena
Phase (a proposal)  ->
                    <-   Seated (the phase that is played), then the first Tick
actions [E]         ->
                    <-   Tick, ... , PhaseEnd
Phase (the next)    ->
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

ACTION_NO_OP = 0
ACTION_STOP = 1


class PhaseKind(IntEnum):
    """Collect explores and is stored; evaluate is greedy and is not."""

    COLLECT = 1
    EVALUATE = 2


class Ended(IntFlag):
    """How a battle ended on this tick; 0 while it goes on."""

    TERMINATED = 1
    TRUNCATED = 2
    WON = 4


@dataclass(frozen=True, order=True)
class Standing:
    """How far a round has come: phases ended, battles and environment steps collected in it, evaluations in the run."""

    index: int = 0
    battles: int = 0
    steps: int = 0
    evaluations: int = 0


@dataclass(frozen=True)
class Phase:
    """A stretch of play; no battle begins once `battles` have begun or `steps` have been played (0: unbounded)."""

    seed: int
    round: int
    kind: PhaseKind
    battles: int
    steps: int
    standing: Standing


@dataclass(frozen=True)
class Seated:
    """The phase that is played: the furthest one proposed, or the one that was on when the seat came."""

    phase: Phase


@dataclass(frozen=True)
class Tick:
    """What one seat sees of E battles. Rows of battles that are not this seat's (id 0) are zero."""

    tick: int
    steps: int  # environment steps of this phase so far
    observations: NDArray[np.float32]  # [E, obs_size]
    available: NDArray[np.bool_]  # [E, n_actions]
    rewards: NDArray[np.float32]  # [E], the team's, for the step before
    ended: NDArray[np.uint8]  # [E], Ended
    battles: NDArray[np.uint64]  # [E], battle ids


@dataclass(frozen=True)
class PhaseEnd:
    """What a phase came to, over all its battles; `missed` counts those this seat did not play from the beginning."""

    standing: Standing
    battles: int
    steps: int
    won: int
    return_sum: float
    missed: int


ArenaEvent = Seated | Tick | PhaseEnd
