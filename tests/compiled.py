"""Compile what is compiled, so that processes which start at the same time load it: `python -m tests.compiled`."""

from __future__ import annotations

import numpy as np

from envproxy.backend import create_backend
from learning.actor import Actor
from learning.learner import Learner
from tests.learning.toy import SPEC, batch_of, random_battle, settings


def main() -> None:
    battle = create_backend("skirmish", "3m", 1)
    battle.reset(np.ones(1, dtype=bool), np.ones(1, dtype=np.uint64))
    battle.step(battle.observe().available.argmax(-1).astype(np.uint8))
    rng, learner = np.random.default_rng(0), Learner(SPEC, settings(), seed=0)
    observations, available = np.zeros((1, SPEC.obs_size), np.float32), np.ones((1, SPEC.n_actions), np.bool_)
    Actor(learner.network, SPEC, 1).act(observations, available, 0.5, rng)
    learner.train(batch_of(random_battle(rng)))


if __name__ == "__main__":
    main()
