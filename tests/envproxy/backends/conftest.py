"""Scenes: one battle of the simulator with its units where a test puts them."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from envproxy.backend import StepResult
from envproxy.backends.skirmish import Skirmish, create
from envproxy.rules import Rules

Point = tuple[float, float]
SceneMaker = Callable[..., "Scene"]


class Scene:
    """One battle. Units are rows of `units`, allies first; tests may write to them between steps."""

    def __init__(
        self, map_name: str, allies: Sequence[Point | None], enemies: Sequence[Point | None], rules: str = ""
    ) -> None:
        """Place units; None, or nothing at the end of a side, is a dead one. Enemies are sent to where they stand."""
        self.battle: Skirmish = create(map_name, 1, Rules.parse(rules))
        self.battle.reset(np.ones(1, np.bool_), np.zeros(1, np.uint64))
        self.units = self.battle.units[0]
        n_agents = self.battle.spec.n_agents
        self.units["look_in"] = 0  # enemies notice in the first loop what is there to be noticed
        self.allies, self.enemies = self.units[:n_agents], self.units[n_agents:]
        for side, points in ((self.allies, allies), (self.enemies, enemies)):
            for u in range(len(side)):
                point = points[u] if u < len(points) else None
                if point is None:
                    side["health"][u] = side["shield"][u] = 0.0
                else:
                    side["x"][u], side["y"][u] = side["goal_x"][u], side["goal_y"][u] = point

    def step(self, *actions: int) -> StepResult:
        """Play one step; seats that are not named stop, the dead do nothing."""
        dead = self.allies["health"] <= 0
        every = np.where(dead, 0, 1).astype(np.uint8)
        every[: len(actions)] = actions
        return self.battle.step(every[None])

    def available(self, seat: int) -> list[int]:
        """Return the actions a seat may take."""
        return [int(action) for action in np.flatnonzero(self.battle.observe().available[0, seat])]


@pytest.fixture
def scene() -> SceneMaker:
    return Scene
