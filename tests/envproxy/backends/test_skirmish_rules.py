"""SMAC's layer, quirk by quirk. Expected numbers are worked by hand from SMAC's source as the specification has it.

Actions: 0 no-op, 1 stop, 2 north, 3 south, 4 east, 5 west, 6+k attack enemy k, or heal ally k. The open band of most
maps is 8 <= y < 24 over the whole width of 32. docs/smac-rules.md names the tests of quirks.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from envproxy.backend import StepResult
from envproxy.backends.skirmish import create, map_names
from envproxy.backends.skirmish.maps import kind_names, terrain_height
from envproxy.backends.skirmish.records import ATTACK, HEAL, MOVE, STOP
from envproxy.rules import Rules

SceneMaker = Callable[..., Any]  # see conftest.py
Point = tuple[float, float]
FAR = [(30.0, 10.0), (30.0, 12.0), (30.0, 14.0)]
MARAUDER, MARINE, MEDIVAC = 0, 2, 9  # seats of the MMM maps: two, seven and one of them
E_MARINE, E_MARAUDER, E_MEDIVAC = 0, 7, 9  # the enemies of MMM, in the order in which they are made


def places(points: Mapping[int, Point]) -> list[Point | None]:
    """Put units of these numbers where they are said to be; the others are dead."""
    return [points.get(u) for u in range(max(points) + 1)]


def rows(block: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    return block.reshape(-1, width)


def both_fall(duel: Any, one: int, other: int) -> StepResult:
    """Let two Marines with 6 health have shot each other in one loop."""
    pair = [one, other]
    duel.units["health"][pair] = 6.0
    duel.units["strikes"][pair] = 1
    duel.units["strike_in"][pair] = 1.0
    duel.units["victim"][pair] = [other, one]
    result: StepResult = duel.step()
    return result


# --- units (section 2) ---


def test_seats_go_by_type_then_x_then_y() -> None:
    battles = create("2s3z", 50)
    battles.reset(np.ones(50, bool), np.arange(50, dtype=np.uint64))
    units = battles.units[:, :5]
    assert (units["health"] == [80, 80, 100, 100, 100]).all()  # Stalkers before Zealots
    for same_type in (units[:, :2], units[:, 2:]):
        assert (np.diff(same_type["x"]) >= 0).all()


@pytest.mark.parametrize(
    ("map_name", "types"),
    [
        ("MMM", ["Marauder"] * 2 + ["Marine"] * 7 + ["Medivac"]),
        ("1c3s5z", ["Colossus"] + ["Stalker"] * 3 + ["Zealot"] * 5),
        ("bane_vs_bane", ["Baneling"] * 4 + ["Zergling"] * 20),
    ],
)
def test_seats_go_by_the_names_of_their_types(map_name: str, types: list[str]) -> None:
    facts, names = create(map_name, 1).facts, kind_names(map_name)
    assert [names[kind] for kind in facts.roster["kind"][: facts.n_agents]] == types


@pytest.mark.parametrize(
    ("map_name", "types"),
    [
        ("MMM", ["Marine"] * 7 + ["Marauder"] * 2 + ["Medivac"]),
        ("MMM2", ["Marine"] * 8 + ["Marauder"] * 3 + ["Medivac"]),
        ("bane_vs_bane", ["Zergling"] * 20 + ["Baneling"] * 4),
    ],
)
def test_enemies_keep_the_order_in_which_they_are_made(map_name: str, types: list[str]) -> None:
    facts, names = create(map_name, 1).facts, kind_names(map_name)
    assert [names[kind] for kind in facts.roster["kind"][facts.n_agents :]] == types


# --- actions (section 3) ---


def test_attack_range_is_six_between_centres_whatever_the_weapon(scene: SceneMaker) -> None:
    marines = scene("3m", [(10.0, 16.0)], [(16.0, 16.0), (16.001, 16.0), (10.0, 10.0)])
    assert marines.available(0) == [1, 2, 3, 4, 5, 6, 8]
    zealot = scene("2s3z", [None, None, (10.0, 16.0)], [(16.0, 16.0)])
    assert 6 in zealot.available(2)


def test_a_dead_enemy_is_not_a_target(scene: SceneMaker) -> None:
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


def test_the_move_amount_is_how_far_a_move_goes_and_its_half_what_it_asks_for(scene: SceneMaker) -> None:
    assert 2 in scene("3m", [(10.0, 21.999)], FAR, "move-amount=4").available(0)
    assert 2 not in scene("3m", [(10.0, 22.0)], FAR, "move-amount=4").available(0)
    assert 2 in scene("3m", [(10.0, 23.5)], FAR, "move-amount=0.5").available(0)
    short = scene("3m", [(10.0, 16.0)], FAR, "move-amount=0.5")
    short.step(2)
    np.testing.assert_allclose(short.allies["y"][0], 16.5)
    long = scene("3m", [(10.0, 16.0)], FAR, "move-amount=4")
    long.step(2)
    np.testing.assert_allclose((long.allies["y"][0], long.allies["goal_y"][0]), (16 + 1.125, 20))


@pytest.mark.parametrize("step_mul", [1, 4, 8, 16])
def test_step_mul_is_the_loops_of_a_step(scene: SceneMaker, step_mul: int) -> None:
    alone = scene("3m", [(10.0, 16.0)], FAR, f"step-mul={step_mul} move-amount=4")
    alone.step(4)
    np.testing.assert_allclose(alone.allies["x"][0], 10 + step_mul * 2.25 / 16)
    assert alone.battle.progress["steps"][0] == 1


def test_a_medivac_heals_the_living_within_six_whether_hurt_or_not_and_no_medivac(scene: SceneMaker) -> None:
    squad = {MARAUDER: (12.0, 16.0), MARINE: (10.0, 22.0), MARINE + 1: (10.0, 22.001), MEDIVAC: (10.0, 16.0)}
    medics = scene("MMM", places(squad), [(11.0, 16.0)] * 10)
    assert medics.available(MEDIVAC) == [1, 2, 3, 4, 5, 6 + MARAUDER, 6 + MARINE]  # not itself, not an enemy
    medics.allies["health"][MARAUDER] = 1.0
    assert 6 + MARAUDER in medics.available(MEDIVAC)


def test_a_medivac_has_no_heal_actions_beyond_the_allies(scene: SceneMaker) -> None:
    crowd = scene("MMM2", [(10.0, 16.0)] * 10, [(11.0, 16.0)] * 12)
    assert crowd.available(MEDIVAC) == [*range(1, 6), *range(6, 6 + MEDIVAC)]  # of 12 targets 9
    assert crowd.available(MARINE) == [*range(1, 18)]


def test_a_heal_action_is_an_order_to_heal_the_ally_of_its_number(scene: SceneMaker) -> None:
    pair = scene("MMM", places({MARINE: (12.0, 16.0), MEDIVAC: (10.0, 16.0)}), FAR)
    pair.step(0, 0, 1, *[0] * 6, 6 + MARINE)
    assert (pair.allies["order"][MEDIVAC], pair.allies["target"][MEDIVAC]) == (HEAL, MARINE)


def test_an_attack_that_the_weapon_cannot_carry_out_leaves_the_order_as_it_was(scene: SceneMaker) -> None:
    enemies = {E_MARINE: (10.0, 20.0), E_MEDIVAC: (13.0, 16.0)}
    marauder = scene("MMM", places({MARAUDER: (10.0, 16.0)}), places(enemies))
    marauder.enemies["cooldown"] = 1000
    attack_medivac, unit = 6 + E_MEDIVAC, marauder.allies[MARAUDER]
    assert attack_medivac in marauder.available(MARAUDER)  # SMAC does not ask what the weapon can hit
    for first, order in ((1, STOP), (5, MOVE), (6 + E_MARINE, ATTACK)):
        marauder.step(first)
        before = {field: unit[field] for field in ("order", "target", "goal_x", "goal_y")}
        assert before["order"] == order
        marauder.step(attack_medivac)
        assert {field: unit[field] for field in before} == before
        assert unit["last_action"] == attack_medivac
    assert marauder.battle.observe().state[0, 70 + 60 :].argmax() == attack_medivac


# --- observation (section 7) ---


def test_observation_of_a_marine(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), (13.0, 12.0), None], [(16.0, 16.0), (17.0, 20.0), (19.0, 16.0)])
    three.units["health"][[1, 3]] = 9.0, 27.0
    expected: list[float] = [1, 1, 1, 1]
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


@pytest.mark.parametrize(
    ("map_name", "allies", "enemies"),
    [
        ("MMM", [0] * 2 + [1] * 7 + [2], [1] * 7 + [0] * 2 + [2]),
        ("MMM2", [0] * 2 + [1] * 7 + [2], [1] * 8 + [0] * 3 + [2]),
        ("2s3z", [0] * 2 + [1] * 3, [1] * 2 + [0] * 3),
        ("3s5z", [0] * 3 + [1] * 5, [1] * 3 + [0] * 5),
        ("3s5z_vs_3s6z", [0] * 3 + [1] * 5, [1] * 3 + [0] * 6),
        ("1c3s5z", [0] + [1] * 3 + [2] * 5, [0] + [1] * 3 + [2] * 5),
        ("bane_vs_bane", [0] * 4 + [1] * 20, [1] * 20 + [0] * 4),
    ],
)
def test_type_bits_are_smacs(scene: SceneMaker, map_name: str, allies: list[int], enemies: list[int]) -> None:
    near = scene(map_name, [(10.0, 16.0)] * len(allies), [(11.0, 16.0)] * len(enemies))
    facts, seen = near.battle.facts, near.battle.observe()
    types = facts.type_bits
    wide, narrow = 5 + facts.enemy_shields + types, 5 + facts.ally_shields + types
    obs, state = seen.obs[0, 0], seen.state[0]
    others = 4 + len(enemies) * wide
    assert list(rows(obs[4:others], wide)[:, -types:].argmax(1)) == enemies
    assert list(rows(obs[others : others + (len(allies) - 1) * narrow], narrow)[:, -types:].argmax(1)) == (allies[1:])
    assert obs[-types:].argmax() == allies[0]
    of_allies = len(allies) * (narrow - 1)
    assert list(rows(state[:of_allies], narrow - 1)[:, -types:].argmax(1)) == allies
    of_enemies = state[of_allies : of_allies + len(enemies) * (wide - 2)]
    assert list(rows(of_enemies, wide - 2)[:, -types:].argmax(1)) == enemies


def test_a_medivacs_enemy_rows_carry_its_heal_availability(scene: SceneMaker) -> None:
    squad = {MARAUDER: (12.0, 16.0), MEDIVAC: (10.0, 16.0)}
    enemies = {0: (18.0, 16.0), 2: (10.0, 18.0)}  # 0 is as far as 8, 2 is near
    seen = scene("MMM", places(squad), places(enemies)).battle.observe()
    medivac, marauder = rows(seen.obs[0, MEDIVAC, 4:84], 8), rows(seen.obs[0, MARAUDER, 4:84], 8)
    np.testing.assert_allclose(medivac[0], [1, 8 / 9, 8 / 9, 0, 1, 0, 1, 0], atol=1e-6)  # ally 0 can be healed
    np.testing.assert_allclose(medivac[2], [0, 2 / 9, 0, 2 / 9, 1, 0, 1, 0], atol=1e-6)  # ally 2 is dead
    assert list(marauder[[0, 2], 0]) == [1, 1]  # it attacks


def test_other_allies_show_their_last_action_if_asked_to(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), (11.0, 16.0), None], FAR, "obs-last-action=true")
    assert not rows(three.battle.observe().obs[0, 0, 19:47], 14)[:, 5:].any()  # nobody has acted
    three.step(1, 3, 0)
    first, dead = rows(three.battle.observe().obs[0, 0, 19:47], 14)
    assert list(first[[0, 4]]) == [1, 1]
    assert list(np.flatnonzero(first[5:])) == [3]
    assert not dead.any()
    assert three.battle.observe().obs[0, 0, 47] == 1  # its own health


def test_without_all_health_the_others_rows_have_none(scene: SceneMaker) -> None:
    points = ([(10.0, 16.0), None, (11.0, 16.0)], [(12.0, 16.0)])
    mixed = scene("2s3z", *points, "obs-all-health=false")
    mixed.units["shield"][0] = 40
    seen = mixed.battle.observe().obs[0, 0]
    np.testing.assert_allclose(seen[4:10], [1, 2 / 9, 2 / 9, 0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(seen[40:46], [1, 1 / 9, 1 / 9, 0, 0, 1], atol=1e-6)  # behind 5 enemies, 1 ally
    np.testing.assert_allclose(seen[-4:], [1, 40 / 80, 1, 0], atol=1e-6)
    blind = scene("2s3z", *points, "obs-all-health=false obs-own-health=false").battle.observe().obs[0, 0]
    np.testing.assert_array_equal(blind, [*seen[:-4], 1, 0])


@pytest.mark.parametrize(
    ("point", "pathable"),
    [
        # two moves to the north, south, east, west; one to the north-east, south-west, south-east, north-west
        ((10.7, 22.3), [0, 1, 1, 1, 0, 1, 1, 0]),  # 26 and 24 are rock
        ((30.5, 10.5), [1, 0, 1, 1, 1, 1, 1, 1]),  # 6 is rock; 34 and 32 are off the map, which counts as pathable
    ],
)
def test_the_pathing_grid_is_shown_at_eight_points_from_the_units_cell(
    scene: SceneMaker, point: Point, pathable: list[int]
) -> None:
    obs = scene("3m", [point], FAR, "obs-pathing-grid=true").battle.observe().obs[0, 0]
    assert list(obs[4:12]) == pathable
    assert obs.shape == (38,)
    assert obs[-1] == 1


@pytest.mark.parametrize(
    ("level", "base_height", "byte"),
    [
        (0, 0.0, 127),  # 16 / 32 of 255 are 127.5
        (0, 1.0, 135),  # 17 / 32: 135.5
        (64, 1.0, 191),  # 8 high: 24 / 32, 191.25
        (72, 1.0, 193),  # 8.25 high: 193.2
        (88, 1.0, 197),  # 8.75 high: 197.2
        (104, 1.0, 201),  # 9.25 high: 201.2
        (128, 0.0, 207),  # 10 high: 26 / 32, 207.2
    ],
)
def test_terrain_heights_follow_the_cliff_levels(level: int, base_height: float, byte: int) -> None:
    assert terrain_height(level, base_height) == byte


def test_the_terrain_is_shown_at_nine_points_and_is_one_outside_the_map(scene: SceneMaker) -> None:
    obs = scene("3m", [(30.5, 10.5)], FAR, "obs-terrain-height=true").battle.observe().obs[0, 0]
    # four south is (30, 6), mirrored (30, 25): the one point beyond the band of level 64, which is 7 <= y < 25
    np.testing.assert_allclose(obs[4:13] * 255, [191, 135, 255, 191, 255, 191, 255, 191, 191], rtol=1e-6)


@pytest.mark.parametrize(
    ("map_name", "place", "expected"),
    [
        # the cell is (10, 12), and 31 - 12 is 19: north of it, (10, 16), is shown what is at (10, 15)
        ("so_many_baneling", (10.7, 12.3), [191, 135, 191, 135, 191, 135, 135, 191, 135]),
        # the cell is (4, 14), mirrored (4, 17): the ramp rises from 193 there over 197 and 201 to 207 in the east
        ("2c_vs_64zg", (4.0, 14.9), [193, 135, 207, 191, 201, 191, 191, 191, 193]),
        # the cell is (6, 8), mirrored (6, 23), in a corner of the band; what is below is 0 high, not 1
        ("bane_vs_bane", (6.5, 8.5), [191, 127, 191, 127, 191, 127, 191, 127, 191]),
    ],
)
def test_terrain_heights_are_those_of_the_mirrored_point(
    scene: SceneMaker, map_name: str, place: Point, expected: list[int]
) -> None:
    obs = scene(map_name, [place], FAR, "obs-terrain-height=true").battle.observe().obs[0, 0]
    np.testing.assert_allclose(obs[4:13] * 255, expected, rtol=1e-6)


@pytest.mark.parametrize("map_name", ["2c_vs_64zg", "corridor", "so_many_baneling"])
def test_terrain_heights_are_what_smac_makes_of_the_games_image(scene: SceneMaker, map_name: str) -> None:
    alone = scene(map_name, [(16.0, 16.0)], FAR, "obs-pathing-grid=true obs-terrain-height=true")
    image = alone.battle.facts.heights.tobytes()  # as the game sends it: row by row from y = 0
    by_x_and_y = np.flip(np.frombuffer(image, np.uint8).reshape(32, 32).T, axis=1) / 255
    around = [(0, 4), (0, -4), (4, 0), (-4, 0), (2, 2), (-2, -2), (2, -2), (-2, 2), (0, 0)]
    for x, y in [(3, 5), (9, 14), (14, 9), (25, 22), (29, 30)]:
        alone.allies["x"][0], alone.allies["y"][0] = x + 0.5, y + 0.5
        points = [(x + dx, y + dy) for dx, dy in around]
        expected = [by_x_and_y[point] if min(point) >= 0 and max(point) < 32 else 1 for point in points]
        np.testing.assert_allclose(alone.battle.observe().obs[0, 0, 12:21], expected, rtol=1e-6)


def test_the_dead_see_nothing_whatever_the_options(scene: SceneMaker) -> None:
    options = "obs-last-action=true obs-pathing-grid=true obs-terrain-height=true"
    three = scene("3m", [(10.0, 16.0), None], FAR, options)
    three.step(1, 0)
    seen = three.battle.observe().obs[0]
    assert seen[0].any()
    assert not seen[1].any()


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


def test_the_state_shows_a_medivacs_energy_where_others_have_their_cooldown(scene: SceneMaker) -> None:
    pair = scene("MMM", places({MARAUDER: (10.0, 16.0), MEDIVAC: (16.0, 12.0)}), FAR)
    pair.units["energy"][MEDIVAC] = 90
    pair.units["cooldown"][[MARAUDER, MEDIVAC]] = 5, 7
    allies = rows(pair.battle.observe().state[0, :70], 7)
    np.testing.assert_allclose(allies[MARAUDER], [1, 5 / 25, -6 / 32, 0, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(allies[MEDIVAC], [1, 90 / 200, 0, -4 / 32, 0, 0, 1], atol=1e-6)


@pytest.mark.parametrize("map_name", map_names())
def test_cooldowns_are_over_smacs_maxima_and_may_exceed_them(map_name: str) -> None:
    """On no map has an ally a type that SMAC does not set, whose maximum would be 15."""
    most = {
        "Marine": 15, "Marauder": 25, "Stalker": 35, "Zealot": 22, "Colossus": 24,
        "Hydralisk": 10, "Zergling": 11, "Baneling": 1,
    }  # fmt: skip
    battle = create(map_name, 1)
    battle.reset(np.ones(1, bool), np.ones(1, np.uint64))
    battle.units["cooldown"] = 16
    facts, names = battle.facts, kind_names(map_name)
    types = [names[kind] for kind in battle.units["kind"][0, : facts.n_agents]]
    width = 4 + facts.ally_shields + facts.type_bits
    shown = rows(battle.observe().state[0, : facts.n_agents * width], width)[:, 1]
    expected = [50 / 200 if name == "Medivac" else 16 / most[name] for name in types]
    np.testing.assert_allclose(shown, expected, rtol=1e-6)


def test_the_timestep_is_the_states_last_number_if_asked_for(scene: SceneMaker) -> None:
    for options, at in (("state-timestep-number=true", 48), ("state-timestep-number=true state-last-action=false", 21)):
        three = scene("3m", [(10.0, 16.0)], FAR, options)
        assert three.battle.observe().state[0, at] == 0
        for _ in range(3):
            three.step(1)
        np.testing.assert_allclose(three.battle.observe().state[0, at:], [3 / 60], rtol=1e-6)


def test_the_state_without_last_actions_is_its_units(scene: SceneMaker) -> None:
    with_them, without = (scene("3m", [(10.0, 16.0)], FAR, options) for options in ("", "state-last-action=false"))
    with_them.step(2)
    without.step(2)
    np.testing.assert_array_equal(without.battle.observe().state[0], with_them.battle.observe().state[0, :21])


def test_the_state_may_be_all_observations_and_then_nothing_else(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0), None, (12.0, 16.0)], FAR, "obs-instead-of-state=true state-timestep-number=true")
    three.step(2, 0, 1)
    seen = three.battle.observe()
    np.testing.assert_array_equal(seen.state[0], seen.obs[0].ravel())
    assert seen.state.any()


# --- reward (section 5) ---

DIVISORS = {
    "3m": 18.25,
    "8m": 32.0,
    "25m": 78.75,
    "5m_vs_6m": 26.5,
    "8m_vs_9m": 34.75,
    "10m_vs_11m": 40.25,
    "27m_vs_30m": 92.5,
    "MMM": 50.75,
    "MMM2": 60.25,
    "2s3z": 51.0,
    "3s5z": 75.5,
    "3s5z_vs_3s6z": 83.5,
    "3s_vs_3z": 34.0,
    "3s_vs_4z": 42.0,
    "3s_vs_5z": 50.0,
    "1c3s5z": 93.5,
    "2m_vs_1z": 18.0,
    "corridor": 64.0,
    "6h_vs_8z": 74.0,
    "2s_vs_1sc": 25.5,
    "so_many_baneling": 74.0,
    "bane_vs_bane": 63.0,
    "2c_vs_64zg": 154.0,
}


@pytest.mark.parametrize("name", DIVISORS)
def test_reward_divisors_are_smacs(name: str) -> None:
    assert create(name, 1).facts.reward_divisor == DIVISORS[name]


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


def test_reward_is_absolute_only_where_losses_do_not_count(scene: SceneMaker) -> None:
    for options, reward in (("", 1 / 51), ("reward-only-positive=false", -1 / 51)):
        mixed = scene("2s3z", [(5.0, 10.0)], [(25.0, 16.0)], options)
        mixed.enemies["shield"][0] = 40.0
        mixed.enemies["calm"] = 1000
        np.testing.assert_allclose(mixed.step(1).reward[0], reward, rtol=1e-6)


def test_losses_cost_their_share_where_they_count(scene: SceneMaker) -> None:
    for options, share in (
        ("reward-only-positive=false", 0.5),
        ("reward-only-positive=false reward-negative-scale=2", 2),
    ):
        three = scene("3m", [(10.0, 16.0), (10.0, 17.0)], [(14.0, 16.0)], options)
        np.testing.assert_allclose(three.step(1, 1).reward[0], -share * 6 / 18.25, rtol=1e-6)
        three.enemies["cooldown"] = 0.0
        three.allies["health"][0] = 1.0
        three.allies["health"][1] = 45.0
        reward = three.step(1, 1).reward[0]
        assert three.allies["health"][0] == 0
        np.testing.assert_allclose(reward, -share * (1 + 10) / 18.25, rtol=1e-6)


def test_an_allys_shield_counts_like_its_health(scene: SceneMaker) -> None:
    mixed = scene("2s3z", [(5.0, 10.0)], [(25.0, 16.0)], "reward-only-positive=false")
    mixed.allies["shield"][0] = 40.0
    mixed.allies["calm"] = 1000
    np.testing.assert_allclose(mixed.step(1).reward[0], 0.5 / 51, rtol=1e-6)


def test_damage_kills_and_losses_add_up(scene: SceneMaker) -> None:
    duel = scene("3m", [(10.0, 16.0), (10.0, 20.0)], [(14.0, 16.0), None], "reward-only-positive=false")
    reward = duel.step(6, 1).reward[0]
    np.testing.assert_allclose(reward, (6 - 0.5 * 6) / 18.25, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "divisor"),
    [
        ("", 365 / 20),  # 3 * 10 + 200 + 3 * 45
        ("reward-scale-rate=10", 365 / 10),
        ("reward-death-value=20 reward-win=100", 295 / 20),
        ("reward-defeat=-7 reward-negative-scale=3 reward-sparse=true", 365 / 20),
        ("reward-scale=false", 1),
    ],
)
def test_the_divisor_makes_a_victory_worth_the_scale_rate(options: str, divisor: float) -> None:
    assert create("3m", 1, Rules.parse(options)).facts.reward_divisor == divisor


def test_deaths_and_wins_pay_what_the_options_say(scene: SceneMaker) -> None:
    last = scene("3m", [(10.0, 16.0)], [(13.0, 16.0)], "reward-death-value=20 reward-win=100 reward-scale=false")
    last.enemies["health"][0] = 1.0
    last.enemies["cooldown"] = 99
    assert last.step(6).reward[0] == 1 + 20 + 100


@pytest.mark.parametrize(("options", "reward"), [("", 0), ("reward-defeat=-50", -50), ("reward-defeat=5", 5)])
def test_a_defeat_pays_its_own_bonus(scene: SceneMaker, options: str, reward: float) -> None:
    three = scene("3m", [(10.0, 16.0)], [(14.0, 16.0)], options)
    three.allies["health"][0] = 1.0
    np.testing.assert_allclose(three.step(1).reward[0], reward / 18.25, rtol=1e-6)


def test_no_defeat_reward_on_a_timeout(scene: SceneMaker) -> None:
    for options in ("reward-defeat=-50", "reward-sparse=true"):
        apart = scene("3m", [(3.0, 10.0)], FAR, options)
        apart.battle.progress["steps"] = 59
        result = apart.step(1)
        assert (result.truncated[0], result.reward[0]) == (True, 0)


def test_no_defeat_reward_on_a_draw(scene: SceneMaker) -> None:
    for options, reward in (("reward-defeat=-50", 16), ("reward-sparse=true", 0)):
        result = both_fall(scene("3m", [(10.0, 16.0)], [(14.0, 16.0)], options), 0, 3)
        assert result.terminated[0]
        np.testing.assert_allclose(result.reward[0], reward / 18.25, rtol=1e-6)


@pytest.mark.parametrize(("options", "divisor"), [("", 18.25), (" reward-scale=false", 1)])
def test_sparse_rewards_are_scaled_too(scene: SceneMaker, options: str, divisor: float) -> None:
    options = f"reward-sparse=true reward-win=200 reward-defeat=-50{options}"
    won = scene("3m", [(10.0, 16.0)], [(13.0, 16.0)], options)
    won.enemies["cooldown"] = 99
    assert won.step(6).reward[0] == 0  # damage pays nothing
    won.enemies["health"][0] = 1.0
    won.allies["cooldown"][0] = 0.0
    np.testing.assert_allclose(won.step(6).reward[0], 1 / divisor, rtol=1e-6)
    lost = scene("3m", [(10.0, 16.0)], [(14.0, 16.0)], options)
    lost.allies["health"][0] = 1.0
    np.testing.assert_allclose(lost.step(1).reward[0], -1 / divisor, rtol=1e-6)


def test_repeated_resets_leave_the_reward_as_it_is(scene: SceneMaker) -> None:
    last = scene("3m", [(10.0, 16.0)], [(13.0, 16.0)])
    before = last.units.copy()
    for _ in range(3):  # in SMAC each before the first battle's end makes every later reward smaller
        last.battle.reset(np.ones(1, bool), np.zeros(1, np.uint64))
    last.units[:] = before
    last.enemies["health"][0] = 1.0
    last.enemies["cooldown"] = 99
    np.testing.assert_allclose(last.step(6).reward[0], 211 / 18.25, rtol=1e-6)


def test_a_win_with_the_enemys_medivac_alive_pays_less(scene: SceneMaker) -> None:
    last = scene("MMM", places({MARINE: (10.0, 16.0)}), places({E_MARINE: (13.0, 16.0), E_MEDIVAC: (30.0, 10.0)}))
    last.enemies["health"][E_MARINE] = 1.0
    last.enemies["cooldown"] = 99
    result = last.step(0, 0, 6 + E_MARINE)
    assert result.won[0]
    np.testing.assert_allclose(result.reward[0], (1 + 10 + 200) / 50.75, rtol=1e-6)  # 160 of 1015 are never paid


# --- the weapon profile, which is not SMAC's ---


def test_weapons_of_another_release_hit_otherwise() -> None:
    stalker, zealot = 0, 3  # an ally's kind, an enemy's
    for weapons, damage in (("liberty", 10), ("lotv", 13)):
        facts = create("2s3z", 1, Rules(weapons=weapons)).facts  # type: ignore[arg-type]
        assert facts.damage[stalker, zealot] == damage
        assert facts.reward_divisor == 51


# --- end of a battle (section 6) ---


def test_a_lost_battle_is_terminated_and_not_won(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 16.0)], [(14.0, 16.0)])
    three.allies["health"][0] = 1.0
    result = three.step(1)
    assert (result.terminated[0], result.truncated[0], result.won[0]) == (True, False, False)


def test_both_sides_dead_is_a_draw_without_bonus(scene: SceneMaker) -> None:
    result = both_fall(scene("3m", [(10.0, 16.0)], [(14.0, 16.0)]), 0, 3)
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


def test_on_mmm_a_team_of_medivacs_has_lost(scene: SceneMaker) -> None:
    squad = places({MEDIVAC: (10.0, 16.0)})
    for enemies in ({E_MARINE: (30.0, 10.0)}, {E_MEDIVAC: (30.0, 10.0)}):
        result = scene("MMM", squad, places(enemies), "reward-sparse=true reward-scale=false").step()
        assert (result.terminated[0], result.won[0], result.reward[0]) == (True, False, -1)


def test_on_mmm_the_lost_is_asked_for_before_the_won_and_the_draw(scene: SceneMaker) -> None:
    for squad in (places({MEDIVAC: (10.0, 16.0)}), []):
        result = scene("MMM", squad, [], "reward-sparse=true reward-scale=false").step()
        assert (result.terminated[0], result.won[0], result.reward[0]) == (True, False, -1)


def test_on_mmm_the_enemys_last_medivac_does_not_count(scene: SceneMaker) -> None:
    squad = places({MARINE: (3.0, 10.0)})
    result = scene("MMM", squad, places({E_MEDIVAC: (30.0, 10.0)})).step()
    assert (result.terminated[0], result.won[0]) == (True, True)
    for enemies in ({E_MARAUDER: (30.0, 10.0)}, {E_MARINE: (30.0, 10.0), E_MEDIVAC: (30.0, 12.0)}):
        result = scene("MMM", squad, places(enemies)).step()
        assert (result.terminated[0], result.truncated[0], result.won[0]) == (False, False, False)


def test_a_defeat_in_the_last_step_is_a_defeat(scene: SceneMaker) -> None:
    last = scene("3m", [(10.0, 16.0)], [(14.0, 16.0)])
    last.battle.progress["steps"] = 59
    last.allies["health"][0] = 1.0
    result = last.step(1)
    assert (result.terminated[0], result.truncated[0], result.won[0]) == (True, False, False)


def test_nothing_is_paid_after_the_end(scene: SceneMaker) -> None:
    last = scene("3m", [(10.0, 16.0)], [(13.0, 16.0)])
    last.enemies["health"][0] = 1.0
    last.enemies["cooldown"] = 99
    assert last.step(6).won[0]
    result = last.step(1)
    assert not any(field[0] for field in result)
