"""Epsilon-greedy exploration over available actions."""

import numpy as np
from numpy.typing import NDArray

from learning.settings import LearningSettings
from operations.compiled import entry


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
    explore, rank = np.ones((2, len(q)))  # explore nowhere
    if epsilon > 0.0:
        assert rng is not None
        explore, rank = rng.random((2, len(q)))
    actions = np.zeros(len(q), np.uint8)
    _choose(q, available.copy(), explore < epsilon, rank, actions)  # one that came over the network is read-only
    return actions


@entry
def _choose(
    q: NDArray[np.float32],
    available: NDArray[np.bool_],
    explores: NDArray[np.bool_],
    rank: NDArray[np.float64],
    actions: NDArray[np.uint8],
) -> None:
    """Fill in actions [E], zeros before; ``rank`` [E], from 0 to 1, picks among the available ones."""
    for row in range(len(q)):
        count = 0
        for action in range(q.shape[1]):
            if available[row, action]:
                count += 1
                # The first available one whatever its value: also where a network has diverged, an action is available.
                if count == 1 or q[row, action] > q[row, actions[row]]:
                    actions[row] = action
        if not (explores[row] and count):
            continue
        skipped = int(rank[row] * count)
        for action in range(q.shape[1]):
            if available[row, action]:
                if skipped == 0:
                    actions[row] = action
                    break
                skipped -= 1
