"""A seat's actions: which are available, and the orders they become (spec section 3)."""

from __future__ import annotations

from typing import Final

import numpy as np

from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.maps import FIRST_TARGET, MapFacts
from envproxy.backends.skirmish.physics import is_pathable
from envproxy.backends.skirmish.records import ATTACK, MOVE, NOBODY, STOP, Unit, Units

NO_OP: Final = 0
ACT_STOP: Final = 1
NORTH: Final = 2
SOUTH: Final = 3
EAST: Final = 4
WEST: Final = 5

MOVE_AMOUNT: Final = 2.0
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
        return bool(can_attack(unit, units[facts.n_agents + action - FIRST_TARGET]))
    return False


@part
def can_step(unit: Unit, action: int, facts: MapFacts) -> bool:
    """Tell whether the one cell half a move ahead can be walked on."""
    x = unit.x + STEP_X[action - NORTH] * MOVE_AMOUNT / 2
    y = unit.y + STEP_Y[action - NORTH] * MOVE_AMOUNT / 2
    # SMAC truncates, so a point up to one cell outside the map in the south or west counts as its first cell.
    return bool(is_pathable(np.trunc(x), np.trunc(y), facts.pathable))


@part
def can_attack(unit: Unit, enemy: Unit) -> bool:
    """Tell whether a living ally is near enough to an enemy to be given it as a target."""
    dx = enemy.x - unit.x
    dy = enemy.y - unit.y
    return bool(enemy.health > 0.0 and dx * dx + dy * dy <= SHOOT_RANGE * SHOOT_RANGE)


@part
def give_order(unit: Unit, action: int, facts: MapFacts) -> None:
    """Replace a unit's order by that of an available action."""
    unit.last_action = action
    target = NOBODY
    if action >= FIRST_TARGET:
        unit.order = ATTACK
        target = facts.n_agents + action - FIRST_TARGET
    elif action >= NORTH:
        unit.order = MOVE
        unit.goal_x = unit.x + STEP_X[action - NORTH] * MOVE_AMOUNT
        unit.goal_y = unit.y + STEP_Y[action - NORTH] * MOVE_AMOUNT
    else:
        unit.order = STOP
    if target == NOBODY or target != unit.target:  # the same target again goes on with what was begun
        unit.swinging = False
        unit.backswing_in = 0.0
        unit.detour_in = 0
    unit.target = target
