"""One battle as one seat saw it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Battle:
    """A finished battle of T steps, from one seat.

    Attributes:
        observations: float32 [T+1, o]; the last is what the seat saw after the last step.
        available: bool [T+1, a]; actions open at the same moments.
        actions: uint8 [T].
        rewards: float32 [T]; the team's reward of each step.
        terminated: True when the battle was won or lost, False when the time limit cut it.
        id: the battle's number in the run, the same on every seat; 0 where it is not used.
    """

    observations: NDArray[np.float32]
    available: NDArray[np.bool_]
    actions: NDArray[np.uint8]
    rewards: NDArray[np.float32]
    terminated: bool
    id: int = 0

    @property
    def length(self) -> int:
        """T, in environment steps."""
        return len(self.actions)

    @property
    def return_(self) -> float:
        """Sum of the team's rewards, undiscounted, in float64."""
        return float(self.rewards.sum(dtype=np.float64))

    @property
    def alive(self) -> NDArray[np.bool_]:
        """bool [T]: whether the seat's unit lived at the start of each step.

        Read off the availability: SMAC offers no-op (action 0) to dead units alone.
        """
        return ~self.available[: self.length, 0]
