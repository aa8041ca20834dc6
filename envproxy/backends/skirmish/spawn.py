"""How a battle begins: both armies whole, each crowded around its spawn point (spec section 11)."""

from __future__ import annotations

import math
from typing import Final

from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.enemy import LOOK_PERIOD
from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import (
    NO_ACTION,
    NOBODY,
    ON,
    STOP,
    Progress,
    Unit,
    Units,
)
from envproxy.backends.skirmish.rng import uniform

# The formation is not specified, only that units are placed around the point without overlap. A sunflower's seeds do
# that for any number: seed k lies at radius DENSITY * spacing * sqrt(k + 1/2), turned by the golden angle each time;
# no two are then closer than 1.54 * DENSITY * spacing. Each army is turned at random, and each unit put a little off.
_GOLDEN_ANGLE: Final = math.pi * (3.0 - math.sqrt(5.0))
_DENSITY: Final = 0.7
_JITTER: Final = 0.05  # of the spacing, along each axis


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
    for u in range(facts.n_agents, len(units)):
        units[u].look_in = int(uniform(progress, 0.0, LOOK_PERIOD))
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
    unit.target = NOBODY
    unit.attacker = NOBODY
    unit.victim = NOBODY
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
    unit.pace = 0.0
    unit.bursting = False
    unit.far_from = math.inf
    unit.by_x = u
    unit.energy = kind.energy
    unit.healing = NOBODY
    unit.calm = 0
    unit.look_in = 0
    unit.help_in = 0


@part
def _place(unit: Unit, progress: Progress, facts: MapFacts, u: int, turn: float) -> None:
    post = facts.roster[u]
    radius = _DENSITY * post.spacing * math.sqrt(post.place + 0.5)
    angle = turn + _GOLDEN_ANGLE * post.place
    jitter = _JITTER * post.spacing
    unit.x = post.spawn_x + radius * math.cos(angle) + uniform(progress, -jitter, jitter)
    unit.y = post.spawn_y + radius * math.sin(angle) + uniform(progress, -jitter, jitter)
    # A group that is sent to a point keeps its formation on the way there.
    unit.goal_x = facts.attack_x + unit.x - post.spawn_x
    unit.goal_y = facts.attack_y + unit.y - post.spawn_y


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
