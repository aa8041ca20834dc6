"""Battles to learn from at once, by hand."""

import numpy as np

from learning.battle import Battle
from learning.settings import SeatSpec
from tests.learning.toy import batch_of

SPEC = SeatSpec(seat=1, n_agents=2, obs_size=1, n_actions=3, episode_limit=4)


def battle(observations: list[float], actions: list[int], rewards: list[float], *, terminated: bool) -> Battle:
    return Battle(
        observations=np.array(observations, np.float32)[:, None],
        available=np.array([[True, moment > 0, moment > 1] for moment in range(len(observations))]),
        actions=np.array(actions, np.uint8),
        rewards=np.array(rewards, np.float32),
        terminated=terminated,
    )


def test_moments_are_packed_and_steps_are_padded_with_zeros() -> None:
    batch = batch_of(
        battle([5, 6], [1], [0.5], terminated=False), battle([7, 8, 9], [2, 0], [1, 2], terminated=True), spec=SPEC
    )
    assert batch.sizes.tolist() == [2, 2, 1]
    assert batch.inputs.tolist() == [  # observation, last action of 3, agent id of 2
        [7, 0, 0, 0, 0, 1],
        [5, 0, 0, 0, 0, 1],
        [8, 0, 0, 1, 0, 1],
        [6, 0, 1, 0, 0, 1],
        [9, 1, 0, 0, 0, 1],
    ]
    assert batch.available.sum(1).tolist() == [1, 1, 2, 2, 3]
    assert batch.actions.tolist() == [[2, 1], [0, 0]]
    assert batch.rewards.tolist() == [[1.0, 0.5], [2.0, 0.0]]
    assert batch.lengths.tolist() == [2, 1]
    assert batch.terminated.tolist() == [True, False]
