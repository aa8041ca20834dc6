"""The reward buffer."""

import numpy as np
import pytest

from learning.battle import Battle
from learning.rewards import RewardBuffer
from learning.settings import RewardCredit


def battle(rewards: list[float], dies_after: int) -> Battle:
    steps = len(rewards)
    available = np.array([[t >= dies_after, t < dies_after] for t in range(steps + 1)])
    return Battle(
        observations=np.zeros((steps + 1, 1), np.float32),
        available=available,
        actions=(~available[:steps, 0]).astype(np.uint8),
        rewards=np.array(rewards, np.float32),
        terminated=True,
    )


def test_a_battle_knows_when_its_unit_lived() -> None:
    fought = battle([1, 2, 4], dies_after=2)
    assert fought.alive.tolist() == [True, True, False]
    assert (fought.length, fought.return_) == (3, 7.0)


@pytest.mark.parametrize(("credit", "total"), [("alive", 3.0 + 8.0), ("team", 7.0 + 8.0)])
def test_credit(credit: RewardCredit, total: float) -> None:
    rewards = RewardBuffer(96, credit)
    rewards.add(battle([1, 2, 4], dies_after=2))  # the step in which it dies still counts: it began it alive
    rewards.add(battle([8], dies_after=5))
    assert (rewards.total(), len(rewards)) == (total, 2)


def test_only_the_last_battles_count() -> None:
    rewards = RewardBuffer(2, "team")
    for reward in (1, 2, 4):
        rewards.add(battle([reward], dies_after=1))
    assert (rewards.total(), len(rewards)) == (6.0, 2)


def test_an_empty_buffer_is_worth_nothing() -> None:
    rewards = RewardBuffer(2, "team")
    assert (rewards.total(), len(rewards)) == (0.0, 0)


def test_a_reward_buffer_continues_from_its_list() -> None:
    rewards = RewardBuffer(2, "team")
    for reward in (1, 2, 4):
        rewards.add(battle([reward], dies_after=1))
    again = RewardBuffer(2, "team", rewards.to_list())
    again.add(battle([8], dies_after=1))
    assert again.to_list() == [4.0, 8.0]
