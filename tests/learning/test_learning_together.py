"""All parts together: play, store, learn, and play better."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from learning.actor import Actor
from learning.battle import Battle
from learning.buffer import BattleBuffer
from learning.exploration import epsilon
from learning.learner import Learner
from learning.rewards import RewardBuffer
from learning.settings import Base, SeatSpec
from tests.learning.toy import settings

# The signal shows at the first step only; the action of the third must repeat it. Who does not remember gets 0.5.
SIGNAL = SeatSpec(seat=0, n_agents=1, obs_size=2, n_actions=3, episode_limit=3)
CHOICES = np.tile(np.array([False, True, True]), (2, 1))


def play(actor: Actor, rate: float, rng: np.random.Generator) -> list[Battle]:
    """One battle for each of the two signals."""
    seen = np.zeros((4, 2, 2), np.float32)
    seen[0] = np.eye(2)
    actor.begin(np.array([True, True]))
    actions: NDArray[np.uint8] = np.stack([actor.act(seen[t], CHOICES, rate, rng) for t in range(3)])
    rewards = np.zeros((3, 2), np.float32)
    rewards[2] = actions[2] == [1, 2]
    available = np.tile(CHOICES, (4, 1, 1))
    return [Battle(seen[:, e], available[:, e], actions[:, e], rewards[:, e], True) for e in (0, 1)]


@pytest.mark.parametrize("base", ["vdn", "qmix"])
def test_an_agent_learns_to_remember(base: Base) -> None:
    torch.set_num_threads(1)
    told = settings(base=base, gamma=0.9, batch_size=16, target_update_every=20, epsilon_steps=600)
    rng = np.random.default_rng(0)
    learner = Learner(SIGNAL, told, seed=0)
    actor = Actor(learner.network, SIGNAL, battles=2)
    buffer = BattleBuffer(None, 200, SIGNAL)
    rewards = RewardBuffer(2, "alive")
    for round_ in range(200):
        for battle in play(actor, epsilon(6 * round_, told), rng):
            buffer.add(battle)
        if len(buffer) >= told.batch_size:
            learner.train(buffer.sample(rng, told.batch_size))
    for battle in play(actor, 0.0, rng):
        rewards.add(battle)
    assert rewards.to_list() == [1.0, 1.0]
