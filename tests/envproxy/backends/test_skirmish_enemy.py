"""The enemy's side: where it goes, what it attacks, when it gives up."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from envproxy.backends.skirmish import create

SceneMaker = Callable[..., Any]  # see conftest.py
NORTH, SOUTH, EAST, WEST, ATTACK = 2, 3, 4, 5, 6
NEVER = 10**6  # loops


def test_the_enemy_attack_moves_to_its_point(scene: SceneMaker) -> None:
    march = scene("3m", [(2.0, 9.0)], [(23.0, 20.0)])
    march.enemies["goal_x"], march.enemies["goal_y"] = 9.0, 20.0
    march.step(1)
    np.testing.assert_allclose((march.enemies["x"][0], march.enemies["y"][0]), (23 - 1.125, 20))


def test_the_enemy_notices_what_is_half_a_cell_beyond_its_range(scene: SceneMaker) -> None:
    for distance, noticed in ((6.24, True), (6.26, False)):  # 5 + 0.5 and two radii of 0.375
        pair = scene("3m", [(10.0, 14.0)], [(10.0 + distance, 14.0)])
        for _ in range(2):
            pair.step(1)
        assert (pair.allies["health"][0] < 45) == noticed


def test_the_enemy_prefers_the_nearest_and_chases_it(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 14.0), (11.0, 18.0)], [(15.0, 14.0)])
    three.step(1, 1)
    assert list(three.allies["health"][:2]) == [39, 45]
    for _ in range(6):
        three.step(WEST, 1)
    assert three.enemies["x"][0] < 15


def test_a_unit_shot_from_afar_turns_to_the_shooter_and_alerts_its_neighbours(scene: SceneMaker) -> None:
    mixed = scene("2s3z", [(10.0, 14.0)], [None, None, (16.0, 14.0), (19.0, 14.0), (24.0, 20.0)])
    mixed.enemies["look_in"] = 1000  # they notice nothing by themselves
    for _ in range(3):
        mixed.step(ATTACK + 2)
    assert mixed.enemies["x"][2] < 15.5
    assert mixed.enemies["x"][3] < 18.5  # within 4 of it
    assert mixed.enemies["x"][4] == 24.0


def test_a_busy_enemy_stays_with_its_target(scene: SceneMaker) -> None:
    three = scene("3m", [(10.0, 14.0), (10.0, 17.0)], [(14.0, 14.0)])
    three.step(1, ATTACK)
    three.step(1, ATTACK)
    assert three.allies["health"][1] == 45


def test_an_enemy_on_its_way_stays_with_a_target_that_it_notices(scene: SceneMaker) -> None:
    """The other one has come nearer; distance counts only for a unit that has lost its target."""
    pair = scene("3s_vs_3z", [(10.0, 16.0), (20.0, 16.0)], [(15.5, 16.0)])
    pair.step(1, 1)
    assert pair.enemies["target"][0] == 1
    pair.allies["x"][0] = 13.0
    pair.step(1, 1)
    assert pair.enemies["target"][0] == 1
    pair.allies["health"][1] = 0.0
    pair.step(1, 0)
    assert pair.enemies["target"][0] == 0, "it looks at once when its target is dead"


# --- where it was sent ---


def fresh(map_name: str, battles: int = 20) -> Any:
    made = create(map_name, battles)
    made.reset(np.ones(battles, bool), np.arange(battles, dtype=np.uint64))
    return made


@pytest.mark.parametrize(
    ("map_name", "point"),
    [("3m", (9, 16)), ("corridor", (4.47, 4.33)), ("6h_vs_8z", (14.6, 9.49)), ("bane_vs_bane", (16, 8))],
)
def test_an_army_is_sent_to_its_point_and_keeps_its_formation_where_there_is_room(
    map_name: str, point: tuple[float, float]
) -> None:
    sent = fresh(map_name)
    enemies = sent.units[:, sent.spec.n_agents :]
    assert np.hypot(enemies["goal_x"] - point[0], enemies["goal_y"] - point[1]).max() < 3
    columns, rows = enemies["goal_x"].astype(int), enemies["goal_y"].astype(int)
    assert sent.facts.pathable[rows, columns].all()


def test_a_lone_zealot_is_sent_to_a_random_point_between_the_marines() -> None:
    sent = fresh("2m_vs_1z", 200)
    goal = sent.units[:, 2]
    # The formation of one is its distance to its spawn point, which it keeps.
    aside = goal["x"] - 16.0
    assert goal["goal_y"].min() > 11
    assert goal["goal_y"].max() < 13
    along = goal["goal_x"] - aside
    assert along.min() >= 13
    assert along.max() <= 19
    counts, _ = np.histogram(along, 4, (13, 19))
    assert counts.min() > 25  # 50 each when all points are alike


def test_zerglings_are_sent_to_the_colossi_wherever_these_are() -> None:
    """One Zergling, south of the rock, and Colossi north of it: there is no point that it could have been sent to."""
    hunt = fresh("2c_vs_64zg", 1)
    units = hunt.units[0]
    units["health"][3:] = 0.0
    units["health"][2] = 1e6
    for x in (24.0, 8.0):
        units["x"][:2], units["y"][:2] = x, (18.0, 16.0)
        units["target"][2] = -1
        for _ in range(60):
            hunt.step(np.ones((1, 2), np.uint8))
            units["health"][:2] = 200.0
            if units["fights"][2]:
                break
        assert np.hypot(units["x"][2] - x, units["y"][2] - 16) < 4


def test_a_spine_crawler_was_sent_nowhere() -> None:
    rooted = fresh("2s_vs_1sc", 1)
    before = rooted.units[0, 2].copy()
    for _ in range(3):
        rooted.step(np.ones((1, 2), np.uint8))
    assert (rooted.units["x"][0, 2], rooted.units["y"][0, 2]) == (before["x"], before["y"])


def test_a_march_ends_at_its_point(scene: SceneMaker) -> None:
    march = scene("3m", [(30.0, 22.0)], [(12.0, 16.0)])
    march.enemies["goal_x"][0], march.enemies["goal_y"][0] = 9.0, 16.0
    for _ in range(10):
        march.step(1)
    assert (march.enemies["x"][0], march.enemies["y"][0]) == (9.0, 16.0)


# --- pursuit ---


def test_a_unit_that_cannot_reach_its_target_takes_another(scene: SceneMaker) -> None:
    """Five Zealots fight the nearest ally from all sides, so the sixth turns to one that is further away."""
    angles = np.arange(5) * 2 * np.pi / 5
    ring = [(9.0 + 0.9 * np.cos(angle), 16.0 + 0.9 * np.sin(angle)) for angle in angles]
    allies = [None, None, None, (9.0, 16.0), (13.0, 18.5)]
    blocked = scene("3s5z_vs_3s6z", allies, [*[None] * 3, *ring, (10.75, 15.9)])
    blocked.enemies["cooldown"] = NEVER
    for _ in range(8):
        blocked.step(0, 0, 0, 1, 1)
        if blocked.enemies["target"][8] == 4:
            break
    assert blocked.enemies["target"][8] == 4
    assert (blocked.enemies["target"][3:8] == 3).all()


@pytest.mark.parametrize(
    ("map_name", "corner", "nearest", "furthest"),
    [("corridor", (16.0, 16.0), 0.2, 0.5), ("6h_vs_8z", (14.0, 13.0), 0.5, 0.75)],
    ids=["Zerglings", "Zealots"],
)
def test_zerglings_squeeze_past_friends_that_fight_and_zealots_do_not(
    scene: SceneMaker, map_name: str, corner: tuple[float, float], nearest: float, furthest: float
) -> None:
    """Eight come from one side. Both need 0.75 between centres, but the data gives Zerglings no inner radius."""
    x, y = corner
    crowd = [(x + 0.8 * (u % 4), y + 0.8 * (u // 4)) for u in range(8)]
    swarm = scene(map_name, [(x + 4.0, y + 0.5)], crowd)
    swarm.allies["health"][0] = 1e6
    closest = np.inf
    for _ in range(12):
        swarm.step(1)
        enemies = swarm.enemies[:8]
        apart = np.hypot(*(enemies[axis][:, None] - enemies[axis] for axis in "xy"))[np.triu_indices(8, 1)]
        closest = min(closest, apart.min())
    assert swarm.enemies["fights"].sum() >= 4
    assert nearest < closest < furthest


def test_a_pursuit_ends_at_the_leash(scene: SceneMaker) -> None:
    chase = scene("3s_vs_3z", [(8.0, 2.0)], [(5.0, 2.0)])
    chase.allies["health"] = [1e6, 0, 0]
    chase.enemies["look_in"] = 0
    chase.enemies["cooldown"] = NEVER
    chase.step(1)
    assert chase.enemies["target"][0] == 0
    furthest = 0.0
    for _ in range(40):  # north along the western edge, always a little ahead
        chase.allies["y"][0] = chase.enemies["y"][0] + 6.5
        if chase.allies["y"][0] > 31:
            break
        chase.step(1)
        furthest = max(furthest, chase.enemies["y"][0] - 2)
    assert 20 < furthest < 23
    for _ in range(30):
        chase.step(1)
    assert chase.enemies["y"][0] == 2.0  # back at where it was sent


# --- Medivacs ---


def test_the_enemys_medivac_stays_with_its_army_and_heals_the_nearest_hurt(scene: SceneMaker) -> None:
    army: list[tuple[float, float] | None] = [None] * 10
    army[0], army[1], army[9] = (17.0, 9.0), (26.0, 12.0), (27.0, 20.0)
    ward = scene("MMM", [(2.0, 9.0)], army)
    ward.enemies["health"][0] = 20.0
    for _ in range(16):
        ward.step(1)
    assert ward.enemies["health"][0] == 20.0  # 8 away: further than it looks for patients
    medivac = ward.enemies[9]
    assert np.hypot(medivac["x"] - 26, medivac["y"] - 12) < 2 + 0.75 + 0.375 + 0.2
    ward.enemies["x"][0], ward.enemies["y"][0] = 24.0, 12.0
    for _ in range(20):
        ward.step(1)
    assert ward.enemies["health"][0] == 45.0
    assert ward.enemies["health"][1] == 45.0


def test_the_enemys_medivac_begins_no_healing_with_less_than_five_energy(scene: SceneMaker) -> None:
    army: list[tuple[float, float] | None] = [None] * 10
    army[0], army[9] = (20.0, 12.0), (21.0, 12.0)
    ward = scene("MMM", [(2.0, 9.0)], army)
    ward.enemies["health"][0] = 20.0
    ward.enemies["energy"][9] = 4.0
    ward.step(1)
    assert ward.enemies["health"][0] == 20.0
    ward.enemies["energy"][9] = 5.0
    ward.step(1)
    assert ward.enemies["health"][0] > 20.0


def test_the_enemy_does_not_harm_its_own(scene: SceneMaker) -> None:
    banelings = scene("so_many_baneling", [(16.0, 18.0)], [(16.3, 18.8), (16.0, 19.2), (15.4, 18.9)])
    banelings.allies["health"][0] = 1000.0
    banelings.enemies["cooldown"][1:] = NEVER
    banelings.step(1)
    assert list(banelings.enemies["health"][:3]) == [0, 30, 30]
