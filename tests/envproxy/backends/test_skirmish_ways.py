"""Walls: the ways around them, and that nobody ends in one."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from envproxy.backends.skirmish import create, map_names
from envproxy.backends.skirmish.paths import NO_WAY, STRAIGHT, find_ways, islands

SceneMaker = Callable[..., Any]  # see conftest.py


def cells(*rows: str) -> Any:
    """Return a pathing grid drawn north up."""
    return np.array([[cell == "." for cell in row] for row in reversed(rows)])


def length(pathable: Any, start: tuple[int, int], end: tuple[int, int]) -> float:
    """Follow the ways from one cell's centre to another's and return how long that is."""
    ways = find_ways(pathable, start)
    width = pathable.shape[1]
    at, total = np.array(start) + 0.5, 0.0
    goal = np.array(end) + 0.5
    for _ in range(pathable.size):
        first = ways.first[int(at[1]) * width + int(at[0]), end[1] * width + end[0]]
        assert first != NO_WAY
        towards = goal if first == STRAIGHT else ways.corners[first]
        total += float(np.hypot(*(towards - at)))
        at = towards
        if first == STRAIGHT:
            return total
    raise AssertionError("the way never ends")


def test_an_open_field_needs_no_ways() -> None:
    assert find_ways(np.ones((4, 5), bool), (0, 0)).first.size == 0


def test_the_way_around_a_wall_is_the_shortest_that_keeps_half_a_cell_from_it() -> None:
    wall = cells(
        ".......",
        "..###..",
        ".......",
    )
    np.testing.assert_allclose(length(wall, (3, 0), (3, 2)), 6)
    np.testing.assert_allclose(length(wall, (2, 0), (2, 2)), 4)
    np.testing.assert_allclose(length(wall, (0, 0), (0, 2)), 2)


def test_a_gap_between_two_corners_is_a_way() -> None:
    touching = cells(
        "##..",
        "##..",
        "..##",
        "..##",
    )
    np.testing.assert_allclose(length(touching, (0, 0), (3, 3)), 3 * np.sqrt(2))


def test_what_cannot_be_reached_has_no_way() -> None:
    walled = cells(
        ".#..#",
        ".#...",
        ".##..",
    )
    ways = find_ways(walled, (3, 1))
    assert ways.first[2 * 5 + 2, 0] == NO_WAY
    assert ways.first[0, 2 * 5 + 2] == NO_WAY


def test_islands_are_walls_that_do_not_touch_the_edge() -> None:
    np.testing.assert_array_equal(
        islands(
            cells(
                "#....",
                "#.##.",
                "#....",
            )
        ),
        ~cells(
            ".....",
            "..##.",
            ".....",
        ),
    )


@pytest.mark.parametrize("map_name", map_names())
def test_everybody_can_get_where_he_is_sent(map_name: str) -> None:
    """Both armies stand where they can walk, the enemy's at the end of a way to its goal."""
    battles = create(map_name, 8)
    battles.reset(np.ones(8, bool), np.arange(8, dtype=np.uint64))
    units, facts = battles.units, battles.facts
    assert facts.pathable[units["y"].astype(int), units["x"].astype(int)].all()
    if facts.ways.size:
        enemies = units[:, battles.spec.n_agents :]
        here = enemies["y"].astype(int) * 32 + enemies["x"].astype(int)
        there = enemies["goal_y"].astype(int) * 32 + enemies["goal_x"].astype(int)
        assert (facts.ways[here, there] != NO_WAY).all()


def test_zerglings_come_through_the_pinch_of_the_corridor(scene: SceneMaker) -> None:
    march = scene("corridor", [(3.0, 9.5)], [(20.0, 20.0), (21.0, 20.0), (20.0, 21.0)])
    march.allies["health"][0] = 1e6
    march.enemies["goal_x"], march.enemies["goal_y"] = 4.47, 4.33
    for _ in range(40):
        march.step(1)
    assert (march.enemies["x"][:3] < 12).all()
    assert (march.enemies["y"][:3] < 12).all()


def test_an_attack_order_leads_around_the_rock(scene: SceneMaker) -> None:
    """The Zergling's prey is beyond the rock of 2c_vs_64zg; its way is the gap in the west."""
    hunt = scene("2c_vs_64zg", [(6.0, 15.0)], [(6.0, 11.0)])
    hunt.allies["health"][0] = 1e6
    places = []
    for _ in range(12):
        hunt.step(1)
        places.append((hunt.enemies["x"][0], hunt.enemies["y"][0]))
    assert min(x for x, _ in places) < 4
    assert hunt.enemies["fights"][0]
    for (x, y), (later_x, later_y) in itertools.pairwise(places):
        assert np.hypot(later_x - x, later_y - y) < 1.6  # 2.9531 a second, and a push
