"""How a battle begins: both armies whole, each crowded around its spawn point."""

from __future__ import annotations

import math
from typing import Final

from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.enemy import LOOK_PERIOD
from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.paths import STRAIGHT
from envproxy.backends.skirmish.physics import is_pathable, way
from envproxy.backends.skirmish.records import (
    NO_ACTION,
    NO_UNIT,
    ON,
    STOP,
    TO_A_POINT,
    TO_A_SEGMENT,
    Progress,
    Unit,
    Units,
)
from envproxy.backends.skirmish.rng import uniform

# The formation is not specified, only that units are placed around the point without overlap. A sunflower's seeds do
# that for any number: seed k lies at radius DENSITY * spacing * sqrt(k + 1/2), turned by the golden angle each time;
# no two are then closer than 1.54 * DENSITY * spacing. Seeds that fall on or behind a wall are left out. Each army is
# turned at random, and each unit put a little off.
_GOLDEN_ANGLE: Final = math.pi * (3.0 - math.sqrt(5.0))
_DENSITY: Final = 0.7
_JITTER: Final = 0.05  # of the spacing, along each axis
_MOST_SEEDS: Final = 1000  # more than the map has room for


@part
def start(units: Units, progress: Progress, facts: MapFacts, seed: int) -> None:
    """Begin the battle of `seed`."""
    progress.rng = seed
    progress.steps = 0
    progress.phase = ON
    for u in range(len(units)):
        _make_whole(units[u], facts, u)
    ally_turn = uniform(progress, 0.0, 2.0 * math.pi)
    enemy_turn = uniform(progress, 0.0, 2.0 * math.pi)
    for u in range(len(units)):
        _place(units[u], progress, facts, u, ally_turn if u < facts.n_agents else enemy_turn)
    part_way = uniform(progress, 0.0, 1.0) if facts.enemy_order == TO_A_SEGMENT else 0.0
    attack_x = facts.attack_x + part_way * (facts.attack_to_x - facts.attack_x)
    attack_y = facts.attack_y + part_way * (facts.attack_to_y - facts.attack_y)
    for u in range(facts.n_agents, len(units)):
        units[u].look_in = int(uniform(progress, 0.0, LOOK_PERIOD))
        _send(units[u], facts, u, attack_x, attack_y)
    _sort_allies(units, facts)


@part
def _make_whole(unit: Unit, facts: MapFacts, u: int) -> None:
    kind = facts.kinds[facts.roster[u].kind]
    unit.kind = facts.roster[u].kind
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


@part
def _place(unit: Unit, progress: Progress, facts: MapFacts, u: int, turn: float) -> None:
    """Put a unit on the seed that its place in the crowd gives it."""
    post = facts.roster[u]
    place = -1
    for seed in range(_MOST_SEEDS):
        radius = _DENSITY * post.spacing * math.sqrt(seed + 0.5)
        angle = turn + _GOLDEN_ANGLE * seed
        unit.x = post.spawn_x + radius * math.cos(angle)
        unit.y = post.spawn_y + radius * math.sin(angle)
        if way(post.spawn_x, post.spawn_y, unit.x, unit.y, facts) == STRAIGHT:
            place += 1
            if place == post.place:
                break
    else:  # no room: the units will push each other apart
        unit.x = post.spawn_x
        unit.y = post.spawn_y
    jitter = _JITTER * post.spacing
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
    """Give seats to allies in SMAC's order: by type, which the roster sees to, then x, then y (section 2)."""
    for u in range(1, facts.n_agents):
        v = u
        while v > 0 and units[v].kind == units[v - 1].kind and _comes_before(units[v], units[v - 1]):
            x, y = units[v].x, units[v].y
            units[v].x, units[v].y = units[v - 1].x, units[v - 1].y
            units[v - 1].x, units[v - 1].y = x, y
            v -= 1


@part
def _comes_before(one: Unit, other: Unit) -> bool:
    return bool(one.x < other.x or (one.x == other.x and one.y < other.y))
