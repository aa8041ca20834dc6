"""A seat's actions: which are available, and the orders they become."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from envproxy.backends.skirmish.maps import FIRST_TARGET, MapFacts
from envproxy.backends.skirmish.orders import take_order
from envproxy.backends.skirmish.physics import is_pathable
from envproxy.backends.skirmish.records import ATTACK, HEAL, MOVE, NO_UNIT, STOP, Unit, Units
from operations.compiled import part

NO_OP: Final = 0
ACT_STOP: Final = 1
NORTH: Final = 2
SOUTH: Final = 3
EAST: Final = 4
WEST: Final = 5
FIRST_LOOK: Final = FIRST_TARGET  # where units have cones of sight: the looks, and then the targets

# Directions of the actions 2 to 5.
STEP_X: Final = np.array([0.0, 0.0, 1.0, -1.0])
STEP_Y: Final = np.array([1.0, -1.0, 0.0, 0.0])


@part
def is_available(units: Units, seat: int, action: int, facts: MapFacts) -> bool:
    """Tell whether a seat may take an action now."""
    unit = units[seat]
    if unit.health <= 0.0 or action == NO_OP:
        return bool(unit.health <= 0.0) and action == NO_OP
    if action == ACT_STOP:
        return True
    if action < FIRST_LOOK:
        return bool(can_step(unit, action, facts))
    if action < facts.first_target:
        return True
    if action < facts.n_actions:
        far = not facts.rules[0].action_mask
        return bool(is_target(units, seat, action - facts.first_target, facts, far))
    return False


@part
def is_possible(units: Units, seat: int, action: int, facts: MapFacts) -> bool:
    """Tell whether a seat can give the order of an action, whatever SMAC's mask says of ranges and walls.

    No-op gives no order to a living unit: it keeps the one that it has.
    """
    unit = units[seat]
    if unit.health <= 0.0:
        return action == NO_OP
    if action >= facts.first_target and is_medivac(unit, facts):
        ally = action - facts.first_target
        return bool(ally < facts.n_agents and not is_medivac(units[ally], facts))
    return bool(action < facts.n_actions)


@part
def is_medivac(unit: Unit, facts: MapFacts) -> bool:
    """Tell whether a unit acts on allies: not on every map with Medivacs."""
    return bool(facts.heals and facts.kinds[unit.kind].heal_range > 0.0)


@part
def can_step(unit: Unit, action: int, facts: MapFacts) -> bool:
    """Tell whether the one cell half a move ahead can be walked on."""
    x = unit.x + STEP_X[action - NORTH] * facts.rules[0].move_amount / 2
    y = unit.y + STEP_Y[action - NORTH] * facts.rules[0].move_amount / 2
    # SMAC truncates, so a point up to one cell outside the map in the south or west counts as its first cell.
    return bool(is_pathable(np.trunc(x), np.trunc(y), facts.pathable))


@part
def is_target(units: Units, seat: int, number: int, facts: MapFacts, far: bool) -> bool:
    """Tell whether a living seat may act on its target of a number: that one lives and is in reach, or `far` off.

    A Medivac's targets are the allies, hurt or not, that are no Medivacs. It has more target actions than allies.
    """
    unit = units[seat]
    if is_medivac(unit, facts):
        if number >= facts.n_agents or is_medivac(units[number], facts):
            return False
        return bool(units[number].health > 0.0 and (far or reaches(unit, units[number], facts)))
    other = units[facts.n_agents + number]
    return bool(other.health > 0.0 and (far or reaches(unit, other, facts)))


@part
def reaches(unit: Unit, other: Unit, facts: MapFacts) -> bool:
    """Tell whether another unit is near enough to a seat's unit to be attacked or healed, and in its cone."""
    dx = other.x - unit.x
    dy = other.y - unit.y
    reach = facts.kinds[unit.kind].reach
    return bool(dx * dx + dy * dy <= reach * reach and faces(unit, dx, dy, facts))


@part
def faces(unit: Unit, dx: float, dy: float, facts: MapFacts) -> bool:
    """Tell whether the direction (dx, dy) is in a unit's cone of sight: all are where there are no cones."""
    if len(facts.looks) == 0:
        return True
    along = dx * facts.looks[unit.look, 0] + dy * facts.looks[unit.look, 1]
    distance = math.sqrt(dx * dx + dy * dy)
    return bool(distance == 0.0 or along > distance * facts.cone)


@part
def give_order(unit: Unit, seat: int, action: int, units: Units, facts: MapFacts) -> None:
    """Replace a unit's order by that of an action. See `take_order` for the attacks that change nothing.

    No-op of a living unit changes nothing. Neither does a look, which turns the cone of sight, nor a target that is out
    of reach.
    """
    unit.last_action = action
    if action == NO_OP and unit.health > 0.0:
        return
    if FIRST_LOOK <= action < facts.first_target:
        unit.look = action - FIRST_LOOK
        return
    order = STOP
    target = NO_UNIT
    goal_x = unit.x
    goal_y = unit.y
    if action >= facts.first_target:
        number = action - facts.first_target
        if not (facts.rules[0].action_mask or is_target(units, seat, number, facts, False)):
            return
        order = HEAL if is_medivac(unit, facts) else ATTACK
        target = number if order == HEAL else facts.n_agents + number
    elif action >= NORTH:
        order = MOVE
        goal_x += STEP_X[action - NORTH] * facts.rules[0].move_amount
        goal_y += STEP_Y[action - NORTH] * facts.rules[0].move_amount
    take_order(unit, order, target, goal_x, goal_y, units, facts)
