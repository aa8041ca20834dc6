"""A seat's actions: which are available, and the orders they become."""

from __future__ import annotations

from typing import Final

import numpy as np

from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.maps import FIRST_TARGET, MapFacts
from envproxy.backends.skirmish.orders import take_order
from envproxy.backends.skirmish.physics import is_pathable
from envproxy.backends.skirmish.records import ATTACK, HEAL, MOVE, NO_UNIT, STOP, Unit, Units

NO_OP: Final = 0
ACT_STOP: Final = 1
NORTH: Final = 2
SOUTH: Final = 3
EAST: Final = 4
WEST: Final = 5

SHOOT_RANGE: Final = 6.0  # of every unit, between centres: SMAC does not ask for the weapon's range

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
    if action < FIRST_TARGET:
        return bool(can_step(unit, action, facts))
    if action < facts.n_actions:
        if is_medivac(unit, facts):
            return bool(can_heal(unit, action - FIRST_TARGET, units, facts))
        return bool(is_target(unit, units[facts.n_agents + action - FIRST_TARGET]))
    return False


@part
def is_possible(units: Units, seat: int, action: int, facts: MapFacts) -> bool:
    """Tell whether a seat can give the order of an action, whatever SMAC's mask says of ranges and walls.

    No-op gives no order to a living unit: it keeps the one that it has.
    """
    unit = units[seat]
    if unit.health <= 0.0:
        return action == NO_OP
    if action >= FIRST_TARGET and is_medivac(unit, facts):
        ally = action - FIRST_TARGET
        return bool(ally < facts.n_agents and not is_medivac(units[ally], facts))
    return bool(action < facts.n_actions)


@part
def is_medivac(unit: Unit, facts: MapFacts) -> bool:
    """Tell whether SMAC treats a unit as a Medivac: on its MMM maps alone."""
    return bool(facts.heals and facts.kinds[unit.kind].heal_range > 0.0)


@part
def can_step(unit: Unit, action: int, facts: MapFacts) -> bool:
    """Tell whether the one cell half a move ahead can be walked on."""
    x = unit.x + STEP_X[action - NORTH] * facts.rules[0].move_amount / 2
    y = unit.y + STEP_Y[action - NORTH] * facts.rules[0].move_amount / 2
    # SMAC truncates, so a point up to one cell outside the map in the south or west counts as its first cell.
    return bool(is_pathable(np.trunc(x), np.trunc(y), facts.pathable))


@part
def is_target(unit: Unit, other: Unit) -> bool:
    """Tell whether another unit lives and is near enough to a living ally to be attacked or healed by it."""
    dx = other.x - unit.x
    dy = other.y - unit.y
    return bool(other.health > 0.0 and dx * dx + dy * dy <= SHOOT_RANGE * SHOOT_RANGE)


@part
def can_heal(unit: Unit, ally: int, units: Units, facts: MapFacts) -> bool:
    """Tell whether a living Medivac may be given an ally to heal, hurt or not. There are more actions than allies."""
    return bool(ally < facts.n_agents and not is_medivac(units[ally], facts) and is_target(unit, units[ally]))


@part
def give_order(unit: Unit, action: int, facts: MapFacts) -> None:
    """Replace a unit's order by that of an action. See `take_order` for the attacks that change nothing."""
    unit.last_action = action
    if action == NO_OP and unit.health > 0.0:
        return
    order = STOP
    target = NO_UNIT
    goal_x = unit.x
    goal_y = unit.y
    if action >= FIRST_TARGET and is_medivac(unit, facts):
        order = HEAL
        target = action - FIRST_TARGET
    elif action >= FIRST_TARGET:
        order = ATTACK
        target = facts.n_agents + action - FIRST_TARGET
    elif action >= NORTH:
        order = MOVE
        goal_x += STEP_X[action - NORTH] * facts.rules[0].move_amount
        goal_y += STEP_Y[action - NORTH] * facts.rules[0].move_amount
    take_order(unit, order, target, goal_x, goal_y, facts)
