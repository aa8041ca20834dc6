"""What single kinds of unit can do beside walking and shooting; numbers worked by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

SceneMaker = Callable[..., Any]  # see conftest.py
NORTH, SOUTH, EAST, WEST, FIRST = 2, 3, 4, 5, 6
NEVER = 10**6  # loops

# Seats of MMM: 2 Marauders, 7 Marines, the Medivac; its enemies: 7 Marines, 2 Marauders, the Medivac.
MEDIVAC = 9
# Seats of 1c3s5z: the Colossus, 3 Stalkers, 5 Zealots; its enemies in the same order.
# Seats of bane_vs_bane: 4 Banelings, 20 Zerglings; its enemies: 20 Zerglings, 4 Banelings.
BANE_ENEMIES = 24


def at_peace(scene: Any) -> Any:
    """Make the enemy's units stand and watch."""
    scene.enemies["look_in"] = NEVER
    scene.enemies["cooldown"] = NEVER
    return scene


# --- Medivac ---


def healing(scene: SceneMaker, patient: tuple[float, float]) -> Any:
    """Return a Medivac at (10, 16), a Marine (seat 2) at a point, and an enemy far away."""
    allies: list[tuple[float, float] | None] = [None] * 10
    allies[2], allies[MEDIVAC] = patient, (10.0, 16.0)
    return at_peace(scene("MMM", allies, [(30.0, 10.0)]))


def test_a_medivac_heals_nine_a_second_for_a_third_of_an_energy_each(scene: SceneMaker) -> None:
    two = healing(scene, (12.0, 16.0))
    two.allies["health"][2] = 20.0
    two.step(*[0] * 2, 1, *[0] * 6, FIRST + 2)
    np.testing.assert_allclose(two.allies["health"][2], 20 + 9 / 2)
    # 50 at the beginning, 0.5625 a second of its own, 0.33 for each point of health
    np.testing.assert_allclose(two.allies["energy"][MEDIVAC], 50 + 0.5625 / 2 - 0.33 * 4.5)
    assert two.allies["healing"][MEDIVAC] == 2


def test_a_medivac_heals_no_further_than_whole_and_not_without_energy(scene: SceneMaker) -> None:
    two = healing(scene, (12.0, 16.0))
    two.allies["health"][2] = 44.5
    two.step(*[0] * 2, 1, *[0] * 6, FIRST + 2)
    assert two.allies["health"][2] == 45.0
    two.allies["health"][2], two.allies["energy"][MEDIVAC] = 20.0, 0.0
    two.step(*[0] * 2, 1, *[0] * 6, FIRST + 2)
    # what flows in during half a second buys this much
    np.testing.assert_allclose(two.allies["health"][2], 20 + 0.5625 / 2 / 0.33)


def test_a_medivac_never_spends_more_energy_than_it_has(scene: SceneMaker) -> None:
    two = healing(scene, (12.0, 16.0))
    for energy in np.linspace(1.0, 1.25, 400):  # spent in the last loop of the step
        two.allies["health"][2], two.allies["energy"][MEDIVAC] = 1.0, energy
        two.step(*[0] * 2, 1, *[0] * 6, FIRST + 2)
        assert two.allies["energy"][MEDIVAC] >= 0.0


def test_a_medivac_flies_within_four_of_its_patient_and_gathers_speed(scene: SceneMaker) -> None:
    two = healing(scene, (16.0, 16.0))
    two.allies["health"][2] = 20.0
    two.step(*[0] * 2, 1, *[0] * 6, FIRST + 2)
    # 2.3125 a second squared: in loop k it flies 2.3125 k / 256
    np.testing.assert_allclose(two.allies["x"][MEDIVAC], 10 + 2.3125 / 256 * (8 * 9 / 2))
    for _ in range(4):
        two.step(*[0] * 2, 1, *[0] * 6, FIRST + 2)
    gap = 16 - two.allies["x"][MEDIVAC] - 0.75 - 0.375
    assert 4 - 2.75 / 16 < gap <= 4
    assert two.allies["health"][2] > 20


def test_a_medivac_flies_over_walls_and_units(scene: SceneMaker) -> None:
    friend_behind_the_wall = [(14.0, 30.0), *[None] * 8, (10.0, 16.0)]
    over = at_peace(scene("MMM", [(10.0, 16.0), *[None] * 8, (10.0, 16.0)], friend_behind_the_wall))
    for _ in range(20):
        over.step(1, *[0] * 8, 1)
    assert (over.allies["x"][0], over.allies["x"][MEDIVAC], over.enemies["x"][0]) == (10.0, 10.0, 14.0)
    assert over.enemies["y"][9] > 24


def test_a_marauder_cannot_be_ordered_to_shoot_at_a_medivac(scene: SceneMaker) -> None:
    two = at_peace(scene("MMM", [(10.0, 16.0), None, (10.0, 17.0)], [(30.0, 10.0), *[None] * 8, (14.0, 16.0)]))
    two.enemies["health"][0] = 1e6
    two.step(FIRST + 9, 0, FIRST + 9)
    assert two.allies["shots"][0] == 0
    assert two.allies["shots"][2] == 1


def test_the_enemys_marauders_pass_over_a_medivac(scene: SceneMaker) -> None:
    allies: list[tuple[float, float] | None] = [None] * 10
    allies[2], allies[MEDIVAC] = (14.5, 18.0), (15.0, 16.0)
    marauder = scene("MMM", allies, [*[None] * 7, (17.0, 16.0)])
    for _ in range(3):
        marauder.step(*[0] * 2, 1, *[0] * 6, 1)
    assert marauder.allies["health"][MEDIVAC] == 150
    assert marauder.allies["health"][2] < 45


# --- Colossus ---


def test_a_colossus_sweeps_a_line_across_its_shot_with_both_beams(scene: SceneMaker) -> None:
    zealots = [(14.0, 16.0), (14.0, 17.85), (14.0, 14.05), (14.6, 16.9), (14.7, 15.0)]
    sweep = at_peace(scene("1c3s5z", [(8.0, 16.0)], [*[None] * 4, *zealots]))
    sweep.step(FIRST + 4)
    # Half the line is 1.25, the beam's radius 0.15, a Zealot's 0.5: reached are those within 1.9 along it, and within
    # 0.65 before or behind it.
    lost = 50 - sweep.enemies["shield"][4:]
    np.testing.assert_array_equal(lost, [40, 40, 0, 40, 0])


def test_a_colossus_does_not_harm_its_friends(scene: SceneMaker) -> None:
    friends = [(8.0, 16.0), (14.0, 17.0)]
    sweep = at_peace(scene("1c3s5z", friends, [*[None] * 4, (14.0, 16.0)]))
    sweep.step(FIRST + 4, 1)
    assert sweep.allies["shield"][1] == 80
    assert sweep.enemies["shield"][4] == 10


def test_a_colossus_strides_over_the_rock_but_not_off_the_map(scene: SceneMaker) -> None:
    two = at_peace(scene("2c_vs_64zg", [(16.0, 15.0), (16.0, 18.95)], [(30.0, 7.0)]))
    two.step(SOUTH, NORTH)
    np.testing.assert_allclose(two.allies["y"][0], 15 - 2.25 / 2)  # on the rock, whose edge is at 14
    assert 19.9 < two.allies["y"][1] < 20
    assert SOUTH not in two.available(0)  # SMAC asks the pathing grid


def test_units_walk_under_a_colossus(scene: SceneMaker) -> None:
    under = at_peace(scene("1c3s5z", [(10.0, 16.0), (10.0, 16.0)], [(30.0, 10.0)]))
    under.step(1, 1)
    assert list(under.allies["x"][:2]) == [10.0, 10.0]


# --- Baneling ---


def test_a_baneling_attacks_by_dying_among_its_enemies(scene: SceneMaker) -> None:
    allies = [(10.0, 16.0), *[None] * 3, (9.5, 16.0)]  # a Baneling and a friend of it
    zerglings = [(11.0, 16.0), (12.5, 16.0), (12.57, 17.0)]
    blast = at_peace(scene("bane_vs_bane", allies, zerglings))
    blast.enemies["health"][:3] = 40.0  # more than they have, to see what is left
    blast.step(FIRST, *[0] * 3, 1)
    # 20 and 15 against the light, in 2.2 and a radius of 0.375
    np.testing.assert_allclose(blast.enemies["health"][:3], [5, 5, 40], atol=0.14)  # it regrows 0.14 in half a second
    assert (blast.allies["health"][0], blast.allies["health"][4]) == (0, 35)


def test_a_baneling_bursts_too_when_it_is_killed_and_sets_off_others(scene: SceneMaker) -> None:
    enemies: list[tuple[float, float] | None] = [None] * BANE_ENEMIES
    enemies[0] = (9.4, 16.0)  # a Zergling that kills the Baneling
    enemies[20] = (12.5, 16.0)  # a Baneling within its blast, and the next Zergling within that one's
    chain = scene("bane_vs_bane", [(10.0, 16.0), *[None] * 3, (14.9, 16.0), (15.2, 15.0)], enemies)
    chain.enemies["look_in"][20] = NEVER
    chain.allies["health"][0] = 1.0
    chain.enemies["health"][20] = 15.0
    chain.step(1, *[0] * 3, 1, 1)
    assert list(chain.units["health"][[0, 24, 44]]) == [0, 0, 0]
    assert list(chain.allies["health"][4:6]) == [0, 35]


# --- Zerg ---


@pytest.mark.parametrize(
    ("map_name", "ally", "enemy", "unit"),
    [
        ("corridor", (4.0, 4.0), (20.0, 20.0), 6),
        ("2s_vs_1sc", (12.0, 9.0), (12.0, 20.0), 2),
        ("6h_vs_8z", (14.0, 10.0), (14.0, 19.0), 0),
        ("bane_vs_bane", (16.0, 10.0), (16.0, 24.0), 24),
        ("so_many_baneling", (4.0, 4.0), (27.0, 26.0), 7),
    ],
)
def test_zerg_flesh_regrows(
    scene: SceneMaker, map_name: str, ally: tuple[float, float], enemy: tuple[float, float], unit: int
) -> None:
    alone = at_peace(scene(map_name, [ally], [enemy]))
    alone.units["health"][unit] = 10.0
    for _ in range(4):
        alone.step(1)
    np.testing.assert_allclose(alone.units["health"][unit], 10 + 2 * 0.2734)


# --- SpineCrawler ---


def test_a_spine_crawler_stays_where_it_is_and_hits_within_seven(scene: SceneMaker) -> None:
    for distance, hit in ((7 + 0.875 + 0.625 - 0.01, True), (7 + 0.5 + 0.875 + 0.625 - 0.01, False)):
        spine = scene("2s_vs_1sc", [(13.92, 20.04 - distance)], [(13.92, 20.04)])
        for _ in range(4):
            spine.step(1)
        assert (spine.allies["shield"][0] < 80) == hit  # it sees half a cell beyond its range, and cannot come
        assert (spine.enemies["x"][0], spine.enemies["y"][0]) == (13.92, 20.04)


def test_a_spine_crawlers_bonus_against_armoured(scene: SceneMaker) -> None:
    spine = scene("2s_vs_1sc", [(13.92, 15.0)], [(13.92, 20.04)])
    spine.enemies["cooldown"] = 0.0
    spine.step(1)
    assert spine.allies["shield"][0] == 80 - 30


def test_units_do_not_push_a_spine_crawler(scene: SceneMaker) -> None:
    spine = at_peace(scene("2s_vs_1sc", [(13.92, 18.8), (13.9, 18.0)], [(13.92, 20.04)]))
    for _ in range(4):
        spine.step(NORTH, NORTH)
    assert (spine.enemies["x"][0], spine.enemies["y"][0]) == (13.92, 20.04)
