"""An ally's order: how a unit takes a new one, and how it carries one out."""

from __future__ import annotations

from envproxy.backends.skirmish.combat import engage
from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.physics import walk
from envproxy.backends.skirmish.records import ATTACK, HEAL, MOVE, NO_UNIT, STOP, Progress, Unit, Units
from envproxy.backends.skirmish.recovery import heal
from operations.compiled import part


@part
def take_order(
    unit: Unit, order: int, target: int, goal_x: float, goal_y: float, units: Units, facts: MapFacts
) -> bool:
    """Replace a unit's order by STOP, a MOVE to (goal_x, goal_y), or to ATTACK or HEAL the unit `target`.

    STOP and MOVE have the target NO_UNIT. Return False, and leave the unit with the order it had, for an attack that
    its weapon cannot carry out (a Marauder's on a Medivac): the game rejects it.
    """
    if order == ATTACK and facts.damage[unit.kind, units[target].kind] == 0.0:
        return False
    unit.order = order
    if order == MOVE:
        unit.goal_x = goal_x
        unit.goal_y = goal_y
    if target == NO_UNIT or target != unit.target:  # the same target again continues what was begun
        unit.swinging = False
        unit.backswing_in = 0.0
        unit.detour_in = 0
    unit.target = target
    return True


@part
def obey(unit: Unit, units: Units, progress: Progress, facts: MapFacts) -> None:
    """Act for one loop on an ally's order. Allies do nothing of their own accord."""
    if unit.order == MOVE:
        walk(unit, unit.goal_x, unit.goal_y, facts)
    elif unit.order in (ATTACK, HEAL):
        if units[unit.target].health <= 0.0:
            unit.order = STOP
            unit.swinging = False
        elif unit.order == ATTACK:
            engage(unit, units, progress, facts)
        else:
            heal(unit, unit.target, units, facts)
