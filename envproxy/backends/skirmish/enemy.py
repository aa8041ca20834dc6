"""The built-in side: it attack-moves to where it was sent and fights what it meets on the way.

Where StarCraft II's own rules are not published the choice made here is named with its reason.
"""

from __future__ import annotations

import math
from typing import Final

from envproxy.backends.skirmish.combat import can_hit, engage, gap
from envproxy.backends.skirmish.maps import LOOPS_PER_SECOND, MapFacts
from envproxy.backends.skirmish.physics import walk
from envproxy.backends.skirmish.records import NO_UNIT, TO_THE_ALLIES, Progress, Unit, Units
from envproxy.backends.skirmish.recovery import can_use_healing, heal
from operations.compiled import part

HELP_RADIUS: Final = 4.0
HELP_PERIOD: Final = 2 * LOOPS_PER_SECOND
LEASH: Final = 21.0  # how far from where it began a pursuit may lead
# Loops between two looks around. How often StarCraft's units look is not published; this is as often as a seat acts, so
# neither side is quicker to see. They do not all look in the same loop.
LOOK_PERIOD: Final = 8
# A pursuer that has come nearer to its target by less than this share of what it can walk is blocked.
HEADWAY: Final = 0.25
ESCORT: Final = 2.0  # how far a Medivac without a patient stays from the nearest friend, edge to edge


@part
def fight_on(u: int, units: Units, progress: Progress, facts: MapFacts) -> None:
    """Act for one loop for the living enemy unit `u`."""
    unit = units[u]
    if unit.target != NO_UNIT and units[unit.target].health <= 0.0:
        unit.target = NO_UNIT
        unit.swinging = False
        unit.look_in = 0
    if unit.attacker != NO_UNIT:
        _answer(u, units, facts)
    unit.help_in -= 1
    if _heals(unit, facts):
        tend(u, units, facts)
        return
    if unit.look_in <= 0:
        unit.look_in = LOOK_PERIOD
        _look_around(unit, units, facts)
    unit.look_in -= 1
    if unit.target != NO_UNIT:
        engage(unit, units, progress, facts)
    elif unit.backswing_in <= 0.0:
        walk(unit, unit.goal_x, unit.goal_y, facts)


@part
def _heals(unit: Unit, facts: MapFacts) -> bool:
    return bool(facts.kinds[unit.kind].heal_range > 0.0)


@part
def _turn_to(unit: Unit, target: int) -> None:
    if unit.target == NO_UNIT:
        unit.post_x = unit.x
        unit.post_y = unit.y
    unit.target = target
    unit.far_from = math.inf


@part
def _answer(u: int, units: Units, facts: MapFacts) -> None:
    """Turn to who has just hit unit `u` if it is the better target, and call idle friends."""
    unit = units[u]
    attacker = unit.attacker
    unit.attacker = NO_UNIT
    if units[attacker].health <= 0.0:
        return
    if not _heals(unit, facts) and (
        unit.target == NO_UNIT
        or (_must_walk(unit, units, facts) and gap(unit, units[attacker], facts) < gap(unit, units[unit.target], facts))
    ):
        _turn_to(unit, attacker)
    if unit.help_in <= 0:
        unit.help_in = HELP_PERIOD
        for f in range(facts.n_agents, len(units)):
            friend = units[f]
            near = math.hypot(friend.x - unit.x, friend.y - unit.y) <= HELP_RADIUS
            if near and friend.health > 0.0 and friend.target == NO_UNIT and not _heals(friend, facts):
                _turn_to(friend, attacker)


@part
def _look_around(unit: Unit, units: Units, facts: MapFacts) -> None:
    """Choose the nearest ally that the unit notices, unless it notices its present target still.

    Distance counts only for a unit that has lost its target: nearer ones do not turn it. A blocked unit chooses the
    nearest of the others. A pursuit that has led too far ends.
    """
    passed_over = NO_UNIT
    notices = facts.kinds[unit.kind].scan_range
    if unit.target != NO_UNIT:
        if not _must_walk(unit, units, facts):
            return
        distance = gap(unit, units[unit.target], facts)
        blocked = unit.far_from - distance < HEADWAY * LOOK_PERIOD * facts.kinds[unit.kind].speed
        unit.far_from = distance
        if math.hypot(unit.x - unit.post_x, unit.y - unit.post_y) > LEASH:
            unit.target = NO_UNIT
        elif blocked:
            passed_over = unit.target
        elif distance <= notices:
            return
    nearest = notices
    found = NO_UNIT
    for a in range(facts.n_agents):
        if units[a].health > 0.0 and a != passed_over and can_hit(unit, units[a], facts):
            distance = gap(unit, units[a], facts)
            if distance <= nearest:
                nearest = distance
                found = a
    if found not in (NO_UNIT, unit.target):
        _turn_to(unit, found)
    if unit.target == NO_UNIT and facts.enemy_order == TO_THE_ALLIES:
        _go_to_the_allies(unit, units, facts)


@part
def _must_walk(unit: Unit, units: Units, facts: MapFacts) -> bool:
    """Tell whether a unit has to walk before it can attack its target; a swing that has begun is finished first."""
    return not unit.swinging and gap(unit, units[unit.target], facts) > facts.kinds[unit.kind].range


@part
def _go_to_the_allies(unit: Unit, units: Units, facts: MapFacts) -> None:
    """Set the goal of an order to attack a group: where the nearest of it is now."""
    nearest = math.inf
    for a in range(facts.n_agents):
        distance = gap(unit, units[a], facts)
        if units[a].health > 0.0 and distance < nearest:
            nearest = distance
            unit.goal_x = units[a].x
            unit.goal_y = units[a].y


@part
def tend(u: int, units: Units, facts: MapFacts) -> None:
    """Act for one loop for a Medivac: heal who is hurt near by, else stay with the army.

    It keeps a patient until there is nothing more to heal.
    """
    unit = units[u]
    kind = facts.kinds[unit.kind]
    if unit.target == NO_UNIT or not _is_patient(unit, units[unit.target], facts):
        unit.target = NO_UNIT
        nearest = kind.heal_scan_range
        if unit.energy >= kind.heal_least_energy:
            for f in range(facts.n_agents, len(units)):
                if f != u and _is_patient(unit, units[f], facts) and gap(unit, units[f], facts) <= nearest:
                    nearest = gap(unit, units[f], facts)
                    unit.target = f
    if unit.target != NO_UNIT:
        heal(unit, unit.target, units, facts)
    else:
        _escort(u, units, facts)


@part
def _is_patient(unit: Unit, other: Unit, facts: MapFacts) -> bool:
    near = gap(unit, other, facts) <= facts.kinds[unit.kind].heal_scan_range
    return bool(near and unit.energy > 0.0 and can_use_healing(other, facts))


@part
def _escort(u: int, units: Units, facts: MapFacts) -> None:
    """Follow the nearest friend that can fight; when there is none, go where the army was sent."""
    unit = units[u]
    nearest = math.inf
    leader = NO_UNIT
    for f in range(facts.n_agents, len(units)):
        if units[f].health > 0.0 and not _heals(units[f], facts) and gap(unit, units[f], facts) < nearest:
            nearest = gap(unit, units[f], facts)
            leader = f
    if leader == NO_UNIT:
        walk(unit, unit.goal_x, unit.goal_y, facts)
    elif nearest > ESCORT:
        walk(unit, units[leader].x, units[leader].y, facts)
