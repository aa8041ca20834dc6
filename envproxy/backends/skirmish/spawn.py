"""How a battle begins: both armies whole, the units that are created at one point crowded around it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish.draft import draw_points, draw_teams
from envproxy.backends.skirmish.enemy import LOOK_PERIOD
from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.paths import STRAIGHT
from envproxy.backends.skirmish.physics import is_pathable, separate, way
from envproxy.backends.skirmish.records import (
    NO_ACTION,
    NO_UNIT,
    ON,
    STOP,
    TO_A_POINT,
    TO_A_SEGMENT,
    TO_THE_NEAREST,
    Progress,
    Unit,
    Units,
)
from envproxy.backends.skirmish.rng import uniform
from operations.compiled import part

# The formation is not specified, only that units are placed around the point without overlap. A sunflower's seeds do
# that for any number: seed k lies at radius DENSITY * spacing * sqrt(k + 1/2), turned by the golden angle each time;
# no two are then closer than 1.54 * DENSITY * spacing. Seeds that fall on or behind a wall are left out. Each army is
# turned at random, and each unit put a little off.
_GOLDEN_ANGLE: Final = math.pi * (3.0 - math.sqrt(5.0))
_DENSITY: Final = 0.7
_JITTER: Final = 0.05  # of the spacing, along each axis
_MOST_SEEDS: Final = 1000  # more than the map has room for
_SETTLING: Final = 8  # rounds of pushing bodies apart before a battle whose units were created anywhere


@part
def start(units: Units, progress: Progress, near: NDArray[np.int64], facts: MapFacts, seed: int) -> None:
    """Begin the battle of `seed`. `near` [P, 2] is room to work in."""
    progress.rng = seed
    progress.steps = 0
    progress.phase = ON
    if facts.teams_are_drawn:
        _form_drawn_teams(units, progress, near, facts)
    else:
        _form_fixed_teams(units, progress, facts)
    part_way = uniform(progress, 0.0, 1.0) if facts.enemy_order == TO_A_SEGMENT else 0.0
    attack_x = facts.attack_x + part_way * (facts.attack_to_x - facts.attack_x)
    attack_y = facts.attack_y + part_way * (facts.attack_to_y - facts.attack_y)
    for u in range(facts.n_agents, len(units)):
        if facts.enemy_order != TO_THE_NEAREST:  # else all are told at once
            units[u].look_in = int(uniform(progress, 0.0, LOOK_PERIOD))
        _send(units[u], facts, u, attack_x, attack_y)
    _sort_allies(units, facts)


@part
def _form_fixed_teams(units: Units, progress: Progress, facts: MapFacts) -> None:
    """Make the units of the roster, each crowd around its point."""
    for u in range(len(units)):
        units[u].kind = facts.roster[u].kind
        _make_whole(units[u], facts, u)
    ally_turn = uniform(progress, 0.0, 2.0 * math.pi)
    enemy_turn = uniform(progress, 0.0, 2.0 * math.pi)
    for u in range(len(units)):
        post = facts.roster[u]
        turn = ally_turn if u < facts.n_agents else enemy_turn
        _place(units[u], progress, facts, post.spawn_x, post.spawn_y, post.place, post.spacing, turn)


@part
def _form_drawn_teams(units: Units, progress: Progress, near: NDArray[np.int64], facts: MapFacts) -> None:
    """Make the units that are drawn. A unit that is alone at its point stands on it; several are a crowd around it.

    Bodies that overlap push each other apart, as the game creates no unit within another.
    """
    draw_teams(units, progress, facts)
    draw_points(units, progress, facts)
    _sort_allies(units, facts)
    for u in range(len(units)):
        _make_whole(units[u], facts, u)
    first = 0
    for end in range(1, len(units) + 1):
        if end in (facts.n_agents, len(units)) or not _share_a_point(units[end - 1], units[end]):
            if end - first > 1:
                _crowd(units[first:end], progress, facts, facts.roster[first].spacing)
            first = end
    for _ in range(_SETTLING):
        separate(units, near, facts)


@part
def _share_a_point(one: Unit, other: Unit) -> bool:
    return bool(one.x == other.x and one.y == other.y)


@part
def _crowd(units: Units, progress: Progress, facts: MapFacts, spacing: float) -> None:
    """Spread units of one point around it."""
    turn = uniform(progress, 0.0, 2.0 * math.pi)
    x = units[0].x
    y = units[0].y
    for place in range(len(units)):
        _place(units[place], progress, facts, x, y, place, spacing, turn)


@part
def _make_whole(unit: Unit, facts: MapFacts, u: int) -> None:
    kind = facts.kinds[unit.kind]
    unit.health = kind.health
    unit.shield = kind.shield
    unit.hp_before = kind.health + kind.shield
    unit.last_action = NO_ACTION
    unit.order = STOP
    unit.target = NO_UNIT
    unit.attacker = NO_UNIT
    unit.victim = NO_UNIT
    unit.moved = False
    unit.detour = 0
    unit.heading_x = 0.0
    unit.heading_y = 0.0
    unit.detour_in = 0
    unit.fights = False
    unit.swinging = False
    unit.swing_in = 0.0
    unit.cooldown = 0.0
    unit.backswing_in = 0.0
    unit.strikes = 0
    unit.strike_in = 0.0
    unit.shots = 0
    unit.dealt = 0.0
    unit.pace = 0.0
    unit.bursting = False
    unit.far_from = math.inf
    unit.by_x = u
    unit.energy = kind.energy
    unit.healing = NO_UNIT
    unit.calm = 0
    unit.look_in = 0
    unit.help_in = 0
    unit.look = 0
    unit.spotter = NO_UNIT
    unit.shown_to = 0


@part
def _place(
    unit: Unit,
    progress: Progress,
    facts: MapFacts,
    spawn_x: float,
    spawn_y: float,
    place: int,
    spacing: float,
    turn: float,
) -> None:
    """Put a unit on the seed that its place in the crowd gives it."""
    passed = -1
    for seed in range(_MOST_SEEDS):
        radius = _DENSITY * spacing * math.sqrt(seed + 0.5)
        angle = turn + _GOLDEN_ANGLE * seed
        unit.x = spawn_x + radius * math.cos(angle)
        unit.y = spawn_y + radius * math.sin(angle)
        if way(spawn_x, spawn_y, unit.x, unit.y, facts) == STRAIGHT:
            passed += 1
            if passed == place:
                break
    else:  # no room: the units will push each other apart
        unit.x = spawn_x
        unit.y = spawn_y
    jitter = _JITTER * spacing
    x = unit.x + uniform(progress, -jitter, jitter)
    y = unit.y + uniform(progress, -jitter, jitter)
    if is_pathable(x, y, facts.pathable):
        unit.x = x
        unit.y = y


@part
def _send(unit: Unit, facts: MapFacts, u: int, x: float, y: float) -> None:
    """Give an enemy unit the point of its army's order. A group keeps its formation where there is room for it."""
    unit.goal_x = unit.x
    unit.goal_y = unit.y
    if facts.enemy_order in (TO_A_POINT, TO_A_SEGMENT):
        aside_x = x + unit.x - facts.roster[u].spawn_x
        aside_y = y + unit.y - facts.roster[u].spawn_y
        in_formation = way(x, y, aside_x, aside_y, facts) == STRAIGHT
        unit.goal_x = aside_x if in_formation else x
        unit.goal_y = aside_y if in_formation else y


@part
def _sort_allies(units: Units, facts: MapFacts) -> None:
    """Give seats to allies in SMAC's order: by type, then x, then y (section 2)."""
    for u in range(1, facts.n_agents):
        v = u
        while v > 0 and _comes_before(units[v], units[v - 1]):
            kind, x, y = units[v].kind, units[v].x, units[v].y
            units[v].kind, units[v].x, units[v].y = units[v - 1].kind, units[v - 1].x, units[v - 1].y
            units[v - 1].kind, units[v - 1].x, units[v - 1].y = kind, x, y
            v -= 1


@part
def _comes_before(one: Unit, other: Unit) -> bool:
    if one.kind != other.kind:
        return bool(one.kind < other.kind)
    return bool(one.x < other.x or (one.x == other.x and one.y < other.y))
