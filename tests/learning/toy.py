"""Battles, seats and settings that are small enough to check by hand."""

import dataclasses
from typing import Any

import numpy as np

from learning.batch import Batch
from learning.battle import Battle
from learning.buffer import BattleBuffer
from learning.learner import Learner, TrainingStep
from learning.settings import LearningSettings, SeatSpec

SPEC = SeatSpec(seat=1, n_agents=2, obs_size=3, n_actions=4, episode_limit=6)

SETTINGS = LearningSettings(
    base="vdn",
    mixing="solo",
    batch_size=4,
    buffer_size=8,
    learning_rate=1e-2,
    gamma=0.5,
    td_lambda=0.0,
    epsilon_start=1.0,
    epsilon_end=0.05,
    epsilon_steps=100,
    target_update_every=3,
    grad_clip=10.0,
    hidden=16,
    train_per_battle=1.0,
    reward_buffer=4,
    reward_credit="alive",
    device="cpu",
)


def settings(**changes: Any) -> LearningSettings:
    return dataclasses.replace(SETTINGS, **changes)


def random_battle(rng: np.random.Generator, length: int | None = None, spec: SeatSpec = SPEC) -> Battle:
    """A battle in which the seat's unit dies at a random step."""
    steps = int(rng.integers(1, spec.episode_limit + 1)) if length is None else length
    available = rng.random((steps + 1, spec.n_actions)) < 0.5
    available[:, 0], available[:, 1] = False, True
    death = int(rng.integers(1, steps + 2))
    available[death:] = np.arange(spec.n_actions) == 0
    actions = [rng.choice(np.flatnonzero(row)) for row in available[:steps]]
    observations = rng.standard_normal((steps + 1, spec.obs_size)).astype(np.float32)
    observations[death:] = 0.0
    rewards = rng.random(steps).astype(np.float32)
    return Battle(observations, available, np.array(actions, np.uint8), rewards, bool(rng.random() < 0.7))


def marked_battle(mark: int, length: int = 2) -> Battle:
    """A battle whose every reward is ``mark``."""
    return dataclasses.replace(
        random_battle(np.random.default_rng(mark), length), rewards=np.full(length, mark, np.float32)
    )


def marks(batch: Batch) -> list[int]:
    """Marks of a batch's battles, sorted."""
    return sorted(batch.rewards[0].int().tolist())


def batch_of(*battles: Battle, spec: SeatSpec = SPEC) -> Batch:
    buffer = BattleBuffer(None, len(battles), spec)
    for battle in battles:
        buffer.add(battle)
    return buffer.sample(np.random.default_rng(0), len(battles))


def owed(learner: Learner, batch: Batch) -> TrainingStep:
    """A training step that is to be taken with this batch."""
    return TrainingStep(learner, lambda: batch)
