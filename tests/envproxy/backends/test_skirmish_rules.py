"""SMAC's layer, quirk by quirk. Expected numbers are worked by hand from SMAC's source as the specification has it.

Actions: 0 no-op, 1 stop, 2 north, 3 south, 4 east, 5 west, 6+k attack enemy k. The open band of these maps is
8 <= y < 24 over the whole width of 32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from envproxy.backend import MapSpec
from envproxy.backends.skirmish import create, map_names

SceneMaker = Callable[..., Any]  # see conftest.py
FAR = [(30.0, 10.0), (30.0, 12.0), (30.0, 14.0)]


@pytest.mark.parametrize(
    "spec",
    [
        MapSpec("3m", n_agents=3, n_actions=9, obs_size=30, state_size=48, episode_limit=60),
        MapSpec("8m", n_agents=8, n_actions=14, obs_size=80, state_size=168, episode_limit=120),
        MapSpec("2s3z", n_agents=5, n_actions=11, obs_size=80, state_size=120, episode_limit=120),
        MapSpec("10m_vs_11m", n_agents=10, n_actions=17, obs_size=105, state_size=243, episode_limit=150),
    ],
    ids=lambda spec: spec.name,
)
def test_sizes_are_smacs(spec: MapSpec) -> None:
    assert create(spec.name, 1).spec == spec


def test_all_maps_of_the_first_version_are_there() -> None:
    assert set(map_names()) >= {"3m", "8m", "2s3z", "10m_vs_11m"}


def test_seats_go_by_type_then_x_then_y() -> None:
    battles = create("2s3z", 50)
    battles.reset(np.ones(50, bool), np.arange(50, dtype=np.uint64))
    units = battles.units[:, :5]
    assert (units["health"] == [80, 80, 100, 100, 100]).all()  # Stalkers before Zealots
    for same_type in (units[:, :2], units[:, 2:]):
        assert (np.diff(same_type["x"]) >= 0).all()


# --- actions (section 3) ---


def test_attack_range_is_six_between_centres_whatever_the_weapon(scene: SceneMaker) -> None:
    marines = scene("3m", [(10.0, 16.0)], [(16.0, 16.0), (16.001, 16.0), (10.0, 10.0)])
    assert marines.available(0) == [1, 2, 3, 4, 5, 6, 8]
    zealot = scene("2s3z", [None, None, (10.0, 16.0)], [(16.0, 16.0)])
    assert 6 in zealot.available(2)


def test_a_dead_enemy_is_no_target(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0)], [None, (12.0, 16.0)])
    assert three.available(0) == [1, 2, 3, 4, 5, 7]


def test_the_dead_have_no_op_and_nothing_else_and_the_living_have_not(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), None], FAR)
    assert three.available(0) == [1, 2, 3, 4, 5]
    assert three.available(1) == [0]


@pytest.mark.parametrize(
    ("point", "moves"),
    [
        ((10.0, 22.999), [2, 3, 4, 5]),  # one cell ahead, 23, is the last one in the north
        ((10.0, 23.0), [3, 4, 5]),
        ((10.0, 9.0), [2, 3, 4, 5]),
        ((10.0, 8.999), [2, 4, 5]),  # cell 7 is rock
        ((30.999, 16.0), [2, 3, 4, 5]),
        ((31.0, 16.0), [2, 3, 5]),  # off the map
        ((0.5, 16.0), [2, 3, 4, 5]),  # int(-0.5) is 0
    ],
)
def test_a_move_asks_for_the_one_cell_ahead(scene: SceneMaker, point: tuple[float, float], moves: list[int]) -> None:
    available = scene("3m", [point], FAR).available(0)
    assert [action for action in available if 2 <= action <= 5] == moves


# --- observation (section 7) ---


def test_observation_of_a_marine(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), (13.0, 12.0), None], [(16.0, 16.0), (17.0, 20.0), (19.0, 16.0)])
    three.units["health"][[1, 3]] = 9.0, 27.0
    expected = [1, 1, 1, 1]
    expected += [1, 6 / 9, 6 / 9, 0, 27 / 45]  # can be attacked
    expected += [0, np.sqrt(65) / 9, 7 / 9, 4 / 9, 1]
    expected += [0, 0, 0, 0, 0]  # at 9, which is not seen: the sight is strict
    expected += [1, 5 / 9, 3 / 9, -4 / 9, 9 / 45]
    expected += [0, 0, 0, 0, 0]  # dead
    expected += [1]
    obs = three.battle.observe().obs[0]
    np.testing.assert_allclose(obs[0], expected, atol=1e-6)
    assert not obs[2].any()


def test_other_allies_come_in_the_order_of_their_seats(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), (11.0, 16.0), (13.0, 16.0)], FAR)
    allies = three.battle.observe().obs[0, 1, 19:29].reshape(2, 5)
    np.testing.assert_allclose(allies[:, 2], [-1 / 9, 2 / 9], atol=1e-6)


def test_enemy_type_bits_of_zealots_and_stalkers_are_reversed(scene: SceneMaker) -> None:
    mixed = scene("2s3z", [(10.0, 16.0), None, (11.0, 16.0)], [(12.0, 16.0), None, (13.0, 16.0)])
    mixed.units["shield"][[0, 2, 5, 7]] = 40, 25, 20, 10
    stalker = mixed.battle.observe().obs[0, 0]
    # 5 enemies of [attackable, distance, dx, dy, health, shield, type, type]: an enemy's columns are Zealot, Stalker
    np.testing.assert_allclose(stalker[4:12], [1, 2 / 9, 2 / 9, 0, 1, 20 / 80, 0, 1], atol=1e-6)
    np.testing.assert_allclose(stalker[20:28], [1, 3 / 9, 3 / 9, 0, 1, 10 / 50, 1, 0], atol=1e-6)
    # 4 allies, whose columns are Stalker, Zealot
    np.testing.assert_allclose(stalker[44:52], np.zeros(8))
    np.testing.assert_allclose(stalker[52:60], [1, 1 / 9, 1 / 9, 0, 1, 25 / 50, 0, 1], atol=1e-6)
    np.testing.assert_allclose(stalker[76:80], [1, 40 / 80, 1, 0], atol=1e-6)


# --- state (section 8) ---


def test_state_of_marines(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), None, (16.0, 24.0 - 1)], [(24.0, 12.0), None, (28.0, 20.0)])
    three.units["health"][5] = 15
    three.units["cooldown"][0] = 12
    expected = [1, 12 / 15, -6 / 32, 0] + [0] * 4 + [1, 0, 0, 7 / 32]
    expected += [1, 8 / 32, -4 / 32] + [0] * 3 + [15 / 45, 12 / 32, 4 / 32]
    expected += [0] * 27  # nobody has acted yet
    np.testing.assert_allclose(three.battle.observe().state[0], expected, atol=1e-6)


def test_state_keeps_the_last_actions_and_the_no_op_of_the_dead(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), None, (12.0, 16.0)], FAR)
    three.step(2, 0, 1)
    np.testing.assert_array_equal(three.battle.observe().state[0, 21:].reshape(3, 9).argmax(1), [2, 0, 1])
    assert three.battle.observe().state[0, 21:].sum() == 3
    three.battle.reset(np.ones(1, bool), np.ones(1, np.uint64))
    assert not three.battle.observe().state[0, 21:].any()


def test_state_of_protoss_has_shields_and_types(scene: SceneMaker) -> None:
    mixed = scene("2s3z", [(10.0, 16.0), None, (16.0, 12.0)], [(24.0, 16.0), None, (28.0, 16.0)])
    mixed.units["shield"][[0, 2, 5, 7]] = 40, 25, 20, 10
    mixed.units["cooldown"][[0, 2]] = 7, 11
    state = mixed.battle.observe().state[0]
    np.testing.assert_allclose(state[0:7], [1, 7 / 35, -6 / 32, 0, 40 / 80, 1, 0], atol=1e-6)
    np.testing.assert_allclose(state[14:21], [1, 11 / 22, 0, -4 / 32, 25 / 50, 0, 1], atol=1e-6)
    np.testing.assert_allclose(state[35:41], [1, 8 / 32, 0, 20 / 80, 0, 1], atol=1e-6)
    np.testing.assert_allclose(state[47:53], [1, 12 / 32, 0, 10 / 50, 1, 0], atol=1e-6)


# --- reward (section 5) ---


@pytest.mark.parametrize(("map_name", "divisor"), [("3m", 18.25), ("8m", 32), ("2s3z", 51), ("10m_vs_11m", 40.25)])
def test_a_win_pays_the_bonus_over_the_divisor(scene: SceneMaker, map_name: str, divisor: float) -> None:
    last = scene(map_name, [(10.0, 16.0)], [(13.0, 16.0)])
    last.units["health"][last.battle.spec.n_agents] = 1.0
    last.units["shield"][last.battle.spec.n_agents] = 0.0
    last.units["cooldown"][last.battle.spec.n_agents] = 99
    result = last.step(6)
    assert result.won[0]
    assert result.terminated[0]
    np.testing.assert_allclose(result.reward[0], (1 + 10 + 200) / divisor, rtol=1e-6)


def test_damage_and_kills_pay_and_overkill_does_not(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), (10.0, 17.0)], [(14.0, 16.0), (14.0, 17.0), (14.0, 18.0)])
    three.enemies["cooldown"] = 99
    three.enemies["health"][1] = 2.0
    result = three.step(6, 7)
    np.testing.assert_allclose(result.reward[0], (6 + 2 + 10) / 18.25, rtol=1e-6)


def test_losses_cost_nothing(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), (10.0, 17.0)], [(14.0, 16.0)])
    three.allies["health"][0] = 1.0
    result = three.step(1, 1)
    assert three.allies["health"][0] == 0
    assert result.reward[0] == 0


def test_a_recovering_enemy_shield_pays_too(scene: SceneMaker) -> None:
    mixed = scene("2s3z", [(5.0, 10.0)], [(25.0, 16.0)])
    mixed.enemies["shield"][0] = 40.0
    mixed.enemies["calm"] = 1000
    result = mixed.step(1)
    assert mixed.enemies["shield"][0] == 41.0  # 2 per second, half a second
    np.testing.assert_allclose(result.reward[0], 1 / 51, rtol=1e-6)


# --- end of a battle (section 6) ---


def test_a_lost_battle_is_terminated_and_not_won(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0)], [(14.0, 16.0)])
    three.allies["health"][0] = 1.0
    result = three.step(1)
    assert (result.terminated[0], result.truncated[0], result.won[0]) == (True, False, False)


def test_both_sides_dead_is_a_draw_without_bonus(scene: SceneMaker) -> None:
    duel = scene("3m", [(10.0, 16.0)], [(14.0, 16.0)])
    duel.units["health"][[0, 3]] = 6.0  # each shoots in the same loop
    result = duel.step(6)
    assert (result.terminated[0], result.truncated[0], result.won[0]) == (True, False, False)
    np.testing.assert_allclose(result.reward[0], 16 / 18.25, rtol=1e-6)


def test_the_step_limit_truncates_and_does_not_terminate(scene: SceneMaker) -> None:
    apart = scene("3m", [(3.0, 10.0)], FAR)
    for _ in range(59):
        result = apart.step(1)
        assert not result.terminated[0]
        assert not result.truncated[0]
    result = apart.step(1)
    assert (result.terminated[0], result.truncated[0], result.won[0]) == (False, True, False)


def test_a_win_in_the_last_step_is_a_win(scene: SceneMaker) -> None:
    last = scene("3m", [(10.0, 16.0)], [(14.0, 16.0)])
    last.battle.progress["steps"] = 59
    last.enemies["health"][0] = 1.0
    result = last.step(6)
    assert (result.terminated[0], result.truncated[0], result.won[0]) == (True, False, True)
