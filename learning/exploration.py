"""Epsilon-greedy exploration over available actions."""

import numpy as np
from numpy.typing import NDArray

from learning.settings import LearningSettings

_LEAST = np.finfo(np.float32).min


def epsilon(steps: int, settings: LearningSettings) -> float:
    """Probability of a random action after ``steps`` environment steps: linear, then constant."""
    progress = min(steps / settings.epsilon_steps, 1.0)
    return settings.epsilon_start + progress * (settings.epsilon_end - settings.epsilon_start)


def choose_actions(
    q: NDArray[np.float32], available: NDArray[np.bool_], epsilon: float, rng: np.random.Generator | None
) -> NDArray[np.uint8]:
    """Best available action of each row, or with probability epsilon any available one, uniformly.

    Args:
        q: float32 [E, a].
        available: bool [E, a]; a row with nothing available gets action 0.
        epsilon: 0 to 1. At 0 nothing is drawn: greedy play leaves ``rng`` as it was.
        rng: source of the draws, the same number of them at every epsilon above 0; None where it is 0.

    Returns:
        uint8 [E].
    """
    # Also of a network that has diverged, whose values may all be -inf, the action is an available one: argmax takes
    # NaN for the greatest value.
    actions: NDArray[np.intp] = np.where(available, np.maximum(q, _LEAST), -np.inf).argmax(1)
    if epsilon > 0.0:
        assert rng is not None
        explore, rank = rng.random((2, len(q)))
        ordinals = available.cumsum(1)
        # The first action whose ordinal exceeds a uniform draw from 0 .. (number available) - 1.
        uniform = (ordinals > np.floor(rank * ordinals[:, -1])[:, None]).argmax(1)
        actions = np.where(explore < epsilon, uniform, actions)
    return actions.astype(np.uint8)
