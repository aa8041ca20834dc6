"""The engine: numbers of movement and weapons worked by hand from the unit data (16 loops a second, 8 a step)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

SceneMaker = Callable[..., Any]  # see conftest.py
FAR = [(30.0, 10.0)]
NORTH, SOUTH, EAST, WEST, ATTACK = 2, 3, 4, 5, 6


# --- movement ---


@pytest.mark.parametrize(("map_name", "seat", "speed"), [("3m", 0, 2.25), ("2s3z", 0, 2.9531), ("2s3z", 2, 2.25)])
@pytest.mark.parametrize(("action", "direction"), [(NORTH, (0, 1)), (SOUTH, (0, -1)), (EAST, (1, 0)), (WEST, (-1, 0))])
def test_a_step_of_walking_is_half_a_second_of_speed(
    scene: SceneMaker, map_name: str, seat: int, speed: float, action: int, direction: tuple[int, int]
) -> None:
    alone = scene(map_name, [None] * seat + [(8.0, 14.0)], FAR)
    alone.step(*[0] * seat, action)
    np.testing.assert_allclose(alone.allies["x"][seat], 8 + direction[0] * speed / 2)
    np.testing.assert_allclose(alone.allies["y"][seat], 14 + direction[1] * speed / 2)


def test_walls_and_the_edge_of_the_map_stop_a_unit(scene: SceneMaker) -> None:
    alone = scene("3m", [(8.0, 22.9), (0.6, 16.0)], FAR)
    alone.step(NORTH, WEST)
    assert 23.9 < alone.allies["y"][0] < 24
    assert alone.allies["x"][1] == 0


def test_bodies_make_room(scene: SceneMaker) -> None:
    crowd = scene("3m", [(8.0, 14.0), (8.1, 14.0), (8.1, 14.1)], FAR)
    for _ in range(3):
        crowd.step(1, 1, 1)
    x, y = crowd.allies["x"], crowd.allies["y"]
    distances = np.hypot(x[:, None] - x, y[:, None] - y)[np.triu_indices(3, 1)]
    assert (distances > 2 * 0.375 - 0.01).all()


def test_one_on_the_other_makes_room_too(scene: SceneMaker) -> None:
    pair = scene("3m", [(8.0, 14.0), (8.0, 14.0)], FAR)
    pair.step(1, 1)
    assert np.hypot(*(pair.allies[axis][0] - pair.allies[axis][1] for axis in "xy")) > 0.7


def test_the_enemy_cannot_be_shoved_about(scene: SceneMaker) -> None:
    pair = scene("3m", [(8.0, 14.0)], [(9.0, 14.0)])
    pair.enemies["cooldown"] = 1000
    for _ in range(4):
        pair.step(EAST)
    assert pair.enemies["x"][0] == 9.0


def test_a_unit_walks_around_a_friend_that_fights(scene: SceneMaker) -> None:
    # Seat 1 stands right behind seat 0, which stands in range of the enemy and does not budge.
    queue = scene("3m", [(10.0, 14.0), (9.2, 14.0)], [(15.7, 14.0)])
    queue.enemies["health"][0] = 1e6
    queue.enemies["cooldown"] = 1000
    for _ in range(5):
        queue.step(ATTACK, ATTACK if ATTACK in queue.available(1) else EAST)
    np.testing.assert_allclose((queue.allies["x"][0], queue.allies["y"][0]), (10, 14))
    assert queue.allies["fights"][1]


# --- weapons ---


def test_allies_never_attack_of_their_own_accord(scene: SceneMaker) -> None:
    three = scene("3m", [(8.0, 14.0)], [(11.0, 14.0)])
    three.enemies["cooldown"] = 1000
    for action in (1, 1, NORTH, 1):
        three.step(action)
    assert three.enemies["health"][0] == 45


def test_an_attack_walks_into_weapon_range_and_no_further(scene: SceneMaker) -> None:
    three = scene("3m", [(8.0, 14.0)], [(14.0, 14.0)])
    three.enemies["look_in"] = 1000  # it does not come by itself
    three.step(ATTACK)
    # range 5 and two radii of 0.375 make 5.75; a loop's walk is 0.140625, so two loops of it
    np.testing.assert_allclose(three.allies["x"][0], 8.28125)
    assert three.enemies["health"][0] == 39


def test_a_marine_shoots_once_per_period(scene: SceneMaker) -> None:
    three = scene("3m", [(8.0, 14.0)], [(11.0, 14.0)])
    three.enemies["cooldown"] = 10_000
    three.enemies["health"][0] = 1e6
    for _ in range(59):
        three.step(ATTACK)
    shots = (1e6 - three.enemies["health"][0]) / 6
    # 13.77 loops and -1 to 2 at random, in whole loops: 14.77 on average, of 472
    assert 472 / 15.3 < shots < 472 / 14.2


def test_the_cooldown_is_the_period_and_its_random_part(scene: SceneMaker) -> None:
    seen = []
    for seed in range(40):
        three = scene("3m", [(8.0, 14.0)], [(11.0, 14.0)])
        three.battle.progress["rng"] = seed
        three.enemies["cooldown"] = 1000
        three.step(ATTACK)
        seen.append(three.allies["cooldown"][0] + 6)  # shot in the second loop, six have passed since
    assert 13.7728 - 1 <= min(seen) < 13.2
    assert 15.2 < max(seen) < 13.7728 + 2


def test_a_new_target_restarts_the_swing(scene: SceneMaker) -> None:
    stalker = scene("2s3z", [(8.0, 14.0)], [(10.0, 14.0), (10.0, 15.5)])
    stalker.enemies["cooldown"] = 1000
    stalker.allies["swinging"][0] = True
    stalker.allies["swing_in"][0] = 1.0
    stalker.allies["target"][0] = 5
    stalker.step(ATTACK + 1)
    assert stalker.enemies["shield"][0] == 80


def test_a_zealot_strikes_twice_and_armour_counts_only_on_health(scene: SceneMaker) -> None:
    melee = scene("2s3z", [None, None, (8.0, 14.0)], [(9.0, 14.0)])
    melee.enemies["cooldown"] = 1000
    melee.enemies["shield"][0] = 11.0
    melee.step(0, 0, ATTACK)
    # 8 off the shield; then 3 off the shield and 5 less the armour of 1 off the health
    assert (melee.enemies["shield"][0], melee.enemies["health"][0]) == (0, 76)


def test_a_hit_that_armour_eats_still_takes_half_a_point(scene: SceneMaker) -> None:
    melee = scene("2s3z", [None, None, (8.0, 14.0)], [(9.0, 14.0)])
    melee.enemies["cooldown"] = 1000
    melee.enemies["shield"][0] = 15.5
    melee.step(0, 0, ATTACK)
    assert melee.enemies["health"][0] == 79.5


def test_a_missile_takes_its_time_and_has_its_bonus(scene: SceneMaker) -> None:
    """Damage point 2.7 loops; 4.75 from edge to edge at 18.75 a second is 4.1 loops: it lands in the second step."""
    stalkers = scene("2s3z", [(8.0, 14.0)], [(14.0, 14.0)])
    stalkers.enemies["cooldown"] = 1000
    stalkers.step(ATTACK)
    assert stalkers.enemies["shield"][0] == 80
    stalkers.step(1)  # it flies whatever the Stalker does now
    assert stalkers.enemies["shield"][0] == 66  # 10, and 4 against armoured


def test_a_missile_outlives_its_stalker_and_a_zealots_second_strike_does_not(scene: SceneMaker) -> None:
    for seat, point, lost in ((0, (14.0, 14.0), 14), (2, (9.0, 14.0), 0)):
        mixed = scene("2s3z", [None] * seat + [(8.0, 14.0)], [point])
        mixed.enemies["cooldown"] = 1000
        mixed.allies["victim"][seat] = 5
        mixed.allies["strikes"][seat] = 1
        mixed.allies["strike_in"][seat] = 3.0
        mixed.allies["health"][seat] = 0.0
        mixed.allies["health"][4] = 100.0  # somebody has to live for the battle to go on
        mixed.allies["x"][4], mixed.allies["y"][4] = 2.0, 10.0
        mixed.step(0, 0, 0, 0, 1)
        assert 80 - mixed.enemies["shield"][0] == lost


def test_shields_recover_after_ten_seconds_of_peace_and_not_before(scene: SceneMaker) -> None:
    peace = scene("2s3z", [(3.0, 10.0)], [(28.0, 20.0)])
    peace.allies["shield"][0] = 10.0
    for _ in range(20):
        peace.step(1)
    assert peace.allies["shield"][0] == 10.0
    peace.step(1)
    assert peace.allies["shield"][0] == 11.0
    for _ in range(80):
        peace.step(1)
    assert peace.allies["shield"][0] == 80.0
