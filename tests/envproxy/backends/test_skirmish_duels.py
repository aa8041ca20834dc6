"""Fights whose outcome can be worked out: one against one, and a mirror."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish import Skirmish, create
from envproxy.rules import Rules

STOP, WEST, EAST, ATTACK = 1, 5, 4, 6
SEEDS = 50


def duel(map_name: str, act: Callable[[Skirmish], int], ally_x: float = 12.0, enemy_x: float = 20.0) -> list[Skirmish]:
    """Play one ally against one enemy on open ground, for SEEDS seeds, until one is dead."""
    played = []
    for seed in range(SEEDS):
        battle = create(map_name, 1)
        battle.reset(np.ones(1, np.bool_), np.array([seed], np.uint64))
        units, n_agents = battle.units[0], battle.spec.n_agents
        for side, x in ((units[:n_agents], ally_x), (units[n_agents:], enemy_x)):
            side["health"][1:] = side["shield"][1:] = 0.0
            side["x"][0], side["y"][0] = x, 16.0
            side["goal_x"][0], side["goal_y"][0] = ally_x, 16.0
        over = False
        while not over:
            actions = np.where(units["health"][:n_agents] > 0, STOP, 0).astype(np.uint8)
            actions[0] = act(battle)
            result = battle.step(actions[None])
            over = bool(result.terminated[0] | result.truncated[0])
        played.append(battle)
    return played


def stand_and_shoot(battle: Skirmish) -> int:
    return ATTACK if battle.observe().available[0, 0, ATTACK] else STOP


def shoot_and_run(battle: Skirmish) -> int:
    """Shoot when the weapon is ready, else circle around the middle of the map, away from the enemy."""
    ally, enemy = battle.units[0][0], battle.units[0][battle.spec.n_agents]
    available = battle.observe().available[0, 0]
    if ally["cooldown"] <= 4 or ally["swinging"]:
        return ATTACK if available[ATTACK] else STOP
    ways = {2: (0, 1), 3: (0, -1), EAST: (1, 0), WEST: (-1, 0)}

    def worth(action: int) -> float:
        x, y = ally["x"] + ways[action][0], ally["y"] + ways[action][1]
        return float(np.hypot(x - enemy["x"], y - enemy["y"]) - 0.3 * np.hypot(x - 16, y - 16))

    return max((action for action in ways if available[action]), key=worth)


def test_a_zealot_beats_a_marine_that_stands_and_loses_five_to_seven_hits_of_shield() -> None:
    """It walks 4.9 in 35 loops and needs six blows, 44 loops; a Marine shoots about every 15 of these 79."""
    for battle in duel("2m_vs_1z", stand_and_shoot, 14.0, 21.0):
        zealot = battle.units[0][2]
        assert battle.units["health"][0, 0] == 0
        assert zealot["health"] == 100
        assert 50 - zealot["shield"] in {30, 36, 42}


def test_a_zealot_beats_a_stalker_that_stands_and_keeps_half_its_health() -> None:
    """It walks 4.8 in 34 loops and needs 22 blows, 201 loops; a Stalker shoots about every 23.5 of these 235.

    Ten or eleven shots of 10: the shield's 50, and five or six of 9.
    """
    for battle in duel("3s_vs_3z", stand_and_shoot):
        zealot = battle.units[0][3]
        assert battle.units["health"][0, 0] == 0
        assert zealot["shield"] == 0
        assert 100 - zealot["health"] in {36, 45, 54, 63}


def test_a_stalker_that_shoots_and_runs_beats_a_zealot_with_seventeen_shots() -> None:
    """Five for the shield's 50, twelve of 9 for the health's 100: it is the faster by a third, and has the time."""
    for battle in duel("3s_vs_3z", shoot_and_run):
        stalker = battle.units[0][0]
        assert battle.units["health"][0, 3] == 0
        assert stalker["health"] > 40
        assert stalker["shots"] == 17


def test_a_mirror_is_even() -> None:
    """Three Marines that are told in every loop to do as the built-in side does, which may not call for help here.

    A call makes friends shoot at the same unit, and agents who decide one by one have no such thing.
    """
    battles = Skirmish("3m", 1000, Rules(step_mul=1), masked=False)
    battles.reset(np.ones(1000, np.bool_), np.arange(1000, dtype=np.uint64))
    units, on, won = battles.units, np.ones(1000, np.bool_), 0
    team = LikeTheBuiltIn(1000)
    while on.any():
        battles.progress["steps"] = 0  # a step is a loop here: the limit is not meant for that
        units["help_in"] = 2
        result = battles.step(team.act(units, battles.observe().available))
        on &= ~result.terminated
        won += int(result.won.sum())
    assert abs(won / 1000 - 0.5) < 1.96 * np.sqrt(0.25 / 1000)


class LikeTheBuiltIn:
    """Marines that look for the nearest enemy every eight loops, and at once when they have lost one that they had."""

    NOTICES = 5.5 + 2 * 0.375  # between centres

    def __init__(self, battles: int) -> None:
        self._target = np.full((battles, 3), -1)
        self._look_in = np.random.default_rng(0).integers(0, 8, (battles, 3))

    def act(self, units: NDArray[np.void], available: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Return the actions [E, 3] of a loop."""
        away = np.hypot(*(units[axis][:, None, 3:] - units[axis][:, :3, None] for axis in "xy"))
        away = np.where(units["health"][:, None, 3:] > 0, away, np.inf)
        distance = np.take_along_axis(away, np.maximum(self._target, 0)[..., None], -1)[..., 0]
        has_one = self._target >= 0
        looks = (self._look_in <= 0) | (has_one & np.isinf(distance))
        self._look_in = np.where(looks, 8, self._look_in) - 1
        found = np.where(away.min(-1) <= self.NOTICES, away.argmin(-1), -1)
        self._target = np.where(looks & ~(has_one & (distance <= self.NOTICES)), found, self._target)
        otherwise = np.where(available[..., EAST], EAST, STOP)
        actions = np.where(self._target >= 0, ATTACK + self._target, otherwise)
        return np.where(available[..., 0], 0, actions).astype(np.uint8)
