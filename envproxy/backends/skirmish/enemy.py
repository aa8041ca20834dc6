"""The built-in side: it attack-moves to its order's point and fights what it meets on the way.

Where StarCraft II's own rules are not published the choice made here is named with its reason.
"""

from __future__ import annotations

import math
from typing import Final

from envproxy.backends.skirmish.combat import engage, gap
from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.maps import LOOPS_PER_SECOND, MapFacts
from envproxy.backends.skirmish.physics import walk
from envproxy.backends.skirmish.records import NOBODY, Progress, Unit, Units

HELP_RADIUS: Final = 4.0
HELP_PERIOD: Final = 2 * LOOPS_PER_SECOND
# Loops between two looks around. How often StarCraft's units look is not published; this is as often as a seat acts, so
# neither side is quicker to see. They do not all look in the same loop.
LOOK_PERIOD: Final = 8


@part
def fight_on(u: int, units: Units, progress: Progress, facts: MapFacts) -> None:
    """Act for one loop for the living enemy unit `u`."""
    unit = units[u]
    if unit.target != NOBODY and units[unit.target].health <= 0.0:
        unit.target = NOBODY
        unit.swinging = False
    if unit.attacker != NOBODY:
        _answer(u, units, facts)
    if unit.look_in <= 0:
        _look_around(unit, units, facts)
    unit.look_in -= 1
    unit.help_in -= 1
    if unit.target != NOBODY:
        engage(unit, units, progress, facts)
    elif unit.backswing_in <= 0.0:
        walk(unit, unit.goal_x, unit.goal_y, facts)


@part
def _answer(u: int, units: Units, facts: MapFacts) -> None:
    """Turn to who has just hit unit `u` if it is the better target, and call idle friends."""
    unit = units[u]
    attacker = unit.attacker
    unit.attacker = NOBODY
    if units[attacker].health <= 0.0:
        return
    if unit.target == NOBODY or (
        _must_walk(unit, units, facts) and gap(unit, units[attacker], facts) < gap(unit, units[unit.target], facts)
    ):
        unit.target = attacker
    if unit.help_in <= 0:
        unit.help_in = HELP_PERIOD
        for f in range(facts.n_agents, len(units)):
            friend = units[f]
            near = math.hypot(friend.x - unit.x, friend.y - unit.y) <= HELP_RADIUS
            if near and friend.health > 0.0 and friend.target == NOBODY:
                friend.target = attacker


@part
def _look_around(unit: Unit, units: Units, facts: MapFacts) -> None:
    """Choose the nearest ally that the unit notices, unless the present target can be hit from here."""
    unit.look_in = LOOK_PERIOD
    if unit.target != NOBODY and not _must_walk(unit, units, facts):
        return
    nearest = facts.kinds[unit.kind].scan_range
    for a in range(facts.n_agents):
        if units[a].health > 0.0:
            distance = gap(unit, units[a], facts)
            if distance <= nearest:
                nearest = distance
                unit.target = a


@part
def _must_walk(unit: Unit, units: Units, facts: MapFacts) -> bool:
    """Tell whether a unit has to walk before it can attack its target; a swing that has begun is finished first."""
    return not unit.swinging and gap(unit, units[unit.target], facts) > facts.kinds[unit.kind].range
