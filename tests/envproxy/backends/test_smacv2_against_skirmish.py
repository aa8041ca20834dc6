"""What unmodified SMACv2 makes of units, against skirmish, whose units they are. Needs SMACv2: PPS_TEST_SMACV2=FOLDER.

No game is needed: SMACv2's environment is given the units that it would read from one. Its rows of hidden enemies are
left out, because it hides too many of them (issue 50), and so are its cones, which look both ways.
"""

import importlib
import os
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from envproxy.backends.skirmish import Skirmish, create
from envproxy.backends.skirmish.maps import kind_names
from envproxy.backends.skirmish.policies import POLICIES
from envproxy.backends.smac.battles import smac_options
from envproxy.backends.smac.game_map import game_map
from envproxy.maps import battle_map, smacv2
from envproxy.rules import Rules

SMACV2 = os.environ.get("PPS_TEST_SMACV2")  # a folder with unmodified SMACv2
pytestmark = pytest.mark.skipif(
    SMACV2 is None, reason="SMACv2 is in no package index: name a folder that has it in PPS_TEST_SMACV2"
)
RULES = (
    "",
    "obs-last-action=true obs-pathing-grid=true obs-terrain-height=true state-timestep-number=true "
    "reward-only-positive=false",
    "use-unit-ranges=false obs-own-pos=false action-mask=false",
    "min-attack-range=3 obs-all-health=false obs-own-health=false state-last-action=false",
)
ALLY_TYPES = ("Baneling", "Colossus", "Hydralisk", "Marauder", "Marine", "Medivac", "Stalker", "Zealot", "Zergling")
FIRST_ALLY_TYPE = 1970
LIMIT = 200


def stock_type(name: str) -> int:
    units = importlib.import_module("pysc2.lib.units")
    races = (units.Protoss, units.Terran, units.Zerg)
    return int(next(getattr(race, name) for race in races if hasattr(race, name)))


class Reader:
    """SMACv2's environment over the units of a battle of skirmish."""

    def __init__(self, name: str, rules: Rules, battles: Skirmish) -> None:
        wrapper = importlib.import_module("smacv2.env.starcraft2.wrapper").StarCraftCapabilityEnvWrapper
        one, facts = battle_map(name), battles.facts
        how = game_map(one)
        self.env: Any = wrapper(
            capability_config=how.capabilities, map_name=how.registered, seed=1, **smac_options(rules, one)
        ).env
        self._battles, self._names = battles, kind_names(name)
        env = self.env
        env._sc2_proc = None
        env._controller = SimpleNamespace(
            data=lambda: SimpleNamespace(units=range(FIRST_ALLY_TYPE + len(ALLY_TYPES))), quit=lambda: None
        )
        env._init_ally_unit_types(0)
        env.map_x = env.map_y = env.max_distance_x = env.max_distance_y = 32
        env.pathing_grid = facts.pathable.T
        env.terrain_height = np.flip(facts.heights.T, 1) / 255
        env.max_reward = facts.reward_divisor * 20
        self.begin()

    def begin(self) -> None:
        """Be at the first step of the battle."""
        env = self.env
        env.last_action = np.zeros((env.n_agents, env.n_actions))
        env._episode_steps = 0
        env.death_tracker_ally, env.death_tracker_enemy = np.zeros(env.n_agents), np.zeros(env.n_enemies)
        self.read()

    def read(self) -> None:
        """Take over the units as they are; all enemies may be seen."""
        env, n = self.env, self.env.n_agents
        env.previous_ally_units, env.previous_enemy_units = env.agents, env.enemies
        env.agents = {i: self._unit(i) for i in range(n)}
        env.enemies = {i: self._unit(n + i) for i in range(env.n_enemies)}
        env.obs_enemies, env.enemy_tags = np.ones((env.n_enemies, n)), [0] * env.n_enemies

    def step(self, actions: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[float, bool, bool]:
        """Take over what a step with `actions` [N] led to; return reward, whether the battle is over, and won."""
        env = self.env
        env.last_action = np.eye(env.n_actions)[actions.astype(int)]
        env._episode_steps += 1
        self.read()
        allies, enemies = (any(unit.health > 0 for unit in side.values()) for side in (env.agents, env.enemies))
        lost = (not allies and enemies) or env.only_medivac_left(ally=True)
        won = not lost and ((allies and not enemies) or env.only_medivac_left(ally=False))
        reward = env.reward_battle() + (env.reward_win if won else 0)
        return reward / env.max_reward * 20, bool(lost or won or not (allies or enemies)), bool(won)

    def _unit(self, u: int) -> SimpleNamespace:
        unit = self._battles.units[0, u]
        kind, name = self._battles.facts.kinds[unit["kind"]], self._names[unit["kind"]]
        is_ally = u < self.env.n_agents
        return SimpleNamespace(
            unit_type=FIRST_ALLY_TYPE + ALLY_TYPES.index(name) if is_ally else stock_type(name),
            pos=SimpleNamespace(x=float(unit["x"]), y=float(unit["y"])),
            health=float(unit["health"]),
            health_max=float(kind["health"]),
            shield=float(unit["shield"]),
            energy=float(unit["energy"]),
            weapon_cooldown=float(unit["cooldown"]),
        )


@pytest.mark.parametrize("name", smacv2.names())
@pytest.mark.parametrize("text", RULES)
def test_nothing_differs(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(SMACV2), *sys.path])
    rules = Rules.parse(text)
    battles, rng = create(name, 1, rules), np.random.default_rng(5)
    once = np.ones(1, np.bool_)
    battles.reset(once, np.zeros(1, np.uint64))
    reader = Reader(name, rules, battles)
    env, spec = reader.env, battles.spec
    sizes = (env.n_agents, env.get_total_actions(), env.get_obs_size(), env.get_state_size(), env.episode_limit)
    assert sizes == (spec.n_agents, spec.n_actions, spec.obs_size, spec.state_size, spec.episode_limit)
    for seed in range(3):
        battles.reset(once, np.array([seed], np.uint64))
        reader.begin()
        is_over = False
        while not is_over:
            seen = battles.observe()
            np.testing.assert_array_equal(np.array(env.get_avail_actions(), np.bool_), seen.available[0])
            np.testing.assert_allclose(np.array(env.get_obs()), seen.obs[0], atol=1e-6)
            np.testing.assert_allclose(np.array(env.get_state()), seen.state[0], atol=1e-6)
            focus, any_ = (POLICIES[policy](battles, seen, rng) for policy in ("focus", "random"))
            actions = np.where(rng.random(focus.shape) < 0.3, any_, focus)
            result = battles.step(actions)
            reward, ended, won = reader.step(actions[0])
            assert result.reward[0] == pytest.approx(reward, abs=1e-5)
            assert (result.terminated[0], result.won[0]) == (ended, won)
            is_over = ended or bool(result.truncated[0])
            assert is_over or env._episode_steps < LIMIT
