"""Scripted teams in scenes whose right answer is plain to see.

Actions: 0 no-op, 1 stop, 2 north, 3 south, 4 east, 5 west, 6+k target k.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from envproxy.backends.skirmish import Skirmish, create, map_names
from envproxy.backends.skirmish.policies import HEURISTICS, POLICIES, Policy, scripted_team
from envproxy.rules import SMAC_RULES

SceneMaker = Callable[..., Any]  # see conftest.py


def chosen(policy: str, scene: Any) -> list[int]:
    """Return what the team does now."""
    actions = POLICIES[policy](scene.battle, scene.battle.observe(), np.random.default_rng(0))
    return [int(action) for action in actions[0]]


@pytest.mark.parametrize("map_name", map_names())
@pytest.mark.parametrize("name", POLICIES)
def test_actions_are_available_and_no_op_where_nothing_is_to_be_done(map_name: str, name: str) -> None:
    battles, rng = create(map_name, 4), np.random.default_rng(0)
    battles.reset(np.array([True, True, True, False]), np.arange(4, dtype=np.uint64))  # the last never begins
    n_agents = battles.spec.n_agents
    died = False
    for _ in range(battles.spec.episode_limit):
        seen = battles.observe()
        actions = POLICIES[name](battles, seen, rng)
        assert actions.shape == (4, n_agents)
        assert actions.dtype == np.uint8
        dead = battles.units["health"][:, :n_agents] <= 0
        died |= bool(dead[:3].any())
        off = battles.progress["phase"] != 1
        assert not actions[dead | off[:, None]].any()
        battles.step(actions)  # refuses what is not available
    assert died or name == "random"
    assert (battles.progress["phase"] == [2, 2, 2, 0]).all()


def test_random_takes_every_available_action_and_is_repeatable(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 23.5)], [(13.0, 23.5)])
    seen = three.battle.observe()
    rng = np.random.default_rng(0)
    drawn = [int(POLICIES["random"](three.battle, seen, rng)[0, 0]) for _ in range(200)]
    assert set(drawn) == set(three.available(0)) == {1, 3, 4, 5, 6}
    again = np.random.default_rng(0)
    assert drawn == [int(POLICIES["random"](three.battle, seen, again)[0, 0]) for _ in range(200)]


@pytest.mark.parametrize("policy", ["nearest", "focus"])
def test_it_goes_to_the_nearest_living_enemy_along_the_longer_way(scene: SceneMaker, policy: str) -> None:
    three = scene("3m", [(10.0, 16.0), (20.0, 9.0), (29.0, 17.0)], [(21.0, 20.0), None, (25.0, 10.5)])
    assert chosen(policy, three) == [4, 6 + 2, 3]
    three.enemies["health"][2] = 0.0
    assert chosen(policy, three) == [4, 2, 5]


@pytest.mark.parametrize("policy", ["nearest", "focus"])
def test_before_a_wall_it_goes_along_the_other_axis_and_in_a_corner_stops(scene: SceneMaker, policy: str) -> None:
    # The cells north of y = 24 and east of x = 32 are closed: no enemy can be there, but a scene can.
    three = scene("3m", [(10.0, 23.5), (12.0, 23.5), (31.5, 23.5)], [(14.0, 31.0)])
    assert chosen(policy, three)[:2] == [4, 4]
    three.enemies["x"][0], three.enemies["y"][0] = 40.0, 31.0
    assert chosen(policy, three)[2] == 1


def test_nearest_attacks_the_nearest_and_focus_the_weakest_in_reach(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0)], [(13.0, 16.0), (15.0, 16.0), (19.0, 16.0)])
    three.enemies["health"] = 40.0, 30.0, 5.0
    assert chosen("nearest", three)[0] == 6
    assert chosen("focus", three)[0] == 7, "the weakest is out of reach"
    three.enemies["health"] = 30.0, 30.0, 5.0
    assert chosen("focus", three)[0] == 6, "of two equals the nearest"
    three.enemies["x"][0] = 15.5
    assert chosen("focus", three)[0] == 7


def test_focus_counts_the_shield(scene: SceneMaker) -> None:
    mixed = scene("2s3z", [(10.0, 16.0)], [(13.0, 16.0), (15.0, 16.0)])
    mixed.enemies["health"][:2] = 20.0, 60.0
    mixed.enemies["shield"][:2] = 50.0, 0.0
    assert chosen("focus", mixed)[0] == 7


def test_the_scripts_beat_random_play_and_focus_beats_nearest() -> None:
    won = {}
    for name, policy in POLICIES.items():
        battles, rng = create("3m", 200), np.random.default_rng(0)
        battles.reset(np.ones(200, bool), np.arange(200, dtype=np.uint64))
        wins = np.zeros(200, bool)
        for _ in range(battles.spec.episode_limit):
            wins |= battles.step(policy(battles, battles.observe(), rng)).won
        won[name] = wins.mean()
    assert won["random"] < 0.1 < won["nearest"] < won["focus"]


# MMM's seats: two Marauders, seven Marines, one Medivac. Its enemies: Medivac last.
MEDIVAC = 9


@pytest.mark.parametrize("policy", ["nearest", "focus"])
def test_a_unit_that_cannot_hit_a_medivac_ignores_it(scene: SceneMaker, policy: str) -> None:
    both = scene("MMM", [(10.0, 16.0), None, (10.0, 15.0)], [*[None] * 8, (25.0, 16.0), (12.0, 16.0)])
    kinds = both.battle.facts.kinds[both.units["kind"]]
    assert list(np.flatnonzero(kinds["heal_range"] > 0)) == [MEDIVAC, 19]
    both.enemies["health"][9] = 1.0
    assert chosen(policy, both)[:3] == [4, 0, 6 + 9], "the Marauder walks past it, the Marine shoots it"
    both.enemies["health"][8] = 0.0
    assert chosen(policy, both)[:3] == [1, 0, 6 + 9], "nothing is left for the Marauder"


@pytest.mark.parametrize("policy", ["nearest", "focus"])
def test_a_medivac_heals_the_nearest_hurt_ally_or_flies_there(scene: SceneMaker, policy: str) -> None:
    allies = [(10.0, 16.0), (12.0, 16.0), (14.0, 16.0), *[None] * 6, (9.0, 16.0)]
    team = scene("MMM", allies, [(12.0, 17.0)])
    assert chosen(policy, team)[MEDIVAC] == 1, "nobody is hurt"
    team.allies["health"][[1, 2]] = 60.0, 5.0
    assert chosen(policy, team)[MEDIVAC] == 6 + 1
    team.allies["health"][1] = 0.0
    assert chosen(policy, team)[MEDIVAC] == 6 + 2
    team.allies["x"][2] = 20.0
    assert chosen(policy, team)[MEDIVAC] == 4
    team.allies["health"][MEDIVAC] = 10.0
    assert chosen(policy, team)[MEDIVAC] == 4, "it does not heal itself"


# --- SMAC's own scripted team ---


def told(team: Policy, scene: Any) -> list[int]:
    """Return what a team with a memory does now; the scene's next step makes it older."""
    actions = team(scene.battle, scene.battle.observe(), np.random.default_rng(0))
    scene.battle.progress["steps"] += 1
    return [int(action) for action in actions[0]]


def test_heuristic_attacks_the_nearest_at_any_distance_and_keeps_it_until_it_is_dead(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), None, (28.0, 16.0)], [(21.0, 20.0), (14.0, 16.0), (25.0, 10.5)])
    team = scripted_team("heuristic")
    assert told(team, three) == [6 + 1, 0, 6 + 2], "the one on the right is out of reach"
    three.enemies["x"][0], three.enemies["y"][0] = 11.0, 16.0
    assert told(team, three) == [6 + 1, 0, 6 + 2], "a nearer one does not turn it"
    three.enemies["health"][1] = 0.0
    assert told(team, three) == [6 + 0, 0, 6 + 2]
    three.battle.progress["steps"] = 0
    three.enemies["health"][1] = 45.0
    assert told(team, three)[2] == 6 + 2, "a battle that begins has no targets"


def test_heuristic_rest_moves_along_the_longer_axis_where_the_mask_forbids_its_target(scene: SceneMaker) -> None:
    # The cells north of y = 24 are closed: it walks against the wall all the same.
    three = scene("3m", [(10.0, 23.5), (12.0, 12.0), (28.0, 16.0)], [(11.0, 31.0), (19.0, 13.0), (25.0, 16.0)])
    team = scripted_team("heuristic-rest")
    assert told(team, three) == [2, 4, 6 + 2]
    assert told(scripted_team("heuristic"), three)[:2] == [6 + 0, 6 + 1]
    three.allies["x"][1] = 14.0
    assert told(team, three)[1] == 6 + 1, "the distance is 5.1 now"


@pytest.mark.parametrize("name", HEURISTICS)
def test_its_marauders_ignore_medivacs_and_its_medivac_keeps_a_patient_until_it_is_whole(
    scene: SceneMaker, name: str
) -> None:
    allies = [(10.0, 16.0), None, (10.0, 15.0), (14.0, 15.0), *[None] * 5, (11.0, 14.0)]
    both = scene("MMM", allies, [*[None] * 8, (13.0, 12.0), (12.0, 16.0)])
    team = scripted_team(name)
    acted = told(team, both)
    assert (acted[0], acted[2]) == (6 + 8, 6 + 9)
    assert acted[MEDIVAC] == 0, "it keeps its order while all are whole"
    both.allies["health"][[2, 3]] = 5.0, 40.0
    assert told(team, both)[MEDIVAC] == 6 + 2
    both.allies["health"][2] = 44.0
    assert told(team, both)[MEDIVAC] == 6 + 2
    both.allies["health"][2] = 45.0
    assert told(team, both)[MEDIVAC] == 6 + 3
    both.allies["health"][3] = 0.0
    assert told(team, both)[MEDIVAC] == 0


def test_masked_battles_refuse_what_unmasked_ones_play() -> None:
    masked, free = create("3m", 1), Skirmish("3m", 1, SMAC_RULES, masked=False)
    for battles in (masked, free):
        battles.reset(np.ones(1, bool), np.zeros(1, np.uint64))
    far = np.full((1, 3), 6, np.uint8)
    with pytest.raises(ValueError, match="seat 0: action 6 is not available"):
        masked.step(far)
    before = free.units["x"][0, :3].copy()
    free.step(far)
    assert (free.units["x"][0, :3] > before + 1.0).all(), "they walk to the far enemy"
    free.step(np.zeros((1, 3), np.uint8))
    assert (free.units["x"][0, :3] > before + 2.0).all(), "no-op leaves the living their order"
    with pytest.raises(ValueError, match="seat 1: action 9 is not possible"):
        free.step(np.array([[6, 9, 6]], np.uint8))


@pytest.mark.parametrize("map_name", ["3m", "MMM", "2c_vs_64zg"])
@pytest.mark.parametrize("name", HEURISTICS)
def test_heuristic_plays_whole_battles(map_name: str, name: str) -> None:
    battles, team = Skirmish(map_name, 4, SMAC_RULES, masked=False), scripted_team(name)
    battles.reset(np.array([True, True, True, False]), np.arange(4, dtype=np.uint64))  # the last never begins
    for _ in range(battles.spec.episode_limit):
        actions = team(battles, battles.observe(), np.random.default_rng(0))
        assert not actions[(battles.units["health"][:, : battles.spec.n_agents] <= 0)].any()
        battles.step(actions)
    assert (battles.progress["phase"] == [2, 2, 2, 0]).all()
