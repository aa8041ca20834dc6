"""The built-in side of a battle in which each unit is sent at the nearest ally.

The map's trigger runs twice a second and tells each unit without an order to attack the ally that is nearest to it. The
order names one unit. A unit pursues this target until it falls, and does not answer attackers.
"""

from __future__ import annotations

import math
from typing import Final

from envproxy.backends.skirmish.combat import can_hit, engage
from envproxy.backends.skirmish.enemy import tend
from envproxy.backends.skirmish.maps import LOOPS_PER_SECOND, MapFacts
from envproxy.backends.skirmish.records import NO_UNIT, Progress, Unit, Units
from operations.compiled import part

TRIGGER_PERIOD: Final = LOOPS_PER_SECOND // 2


@part
def hunt(u: int, units: Units, progress: Progress, facts: MapFacts) -> None:
    """Act for one loop for the living enemy unit `u`; a Medivac heals and follows its army."""
    unit = units[u]
    unit.attacker = NO_UNIT
    if unit.target != NO_UNIT and units[unit.target].health <= 0.0:
        unit.target = NO_UNIT
        unit.swinging = False
    if facts.kinds[unit.kind].heal_range > 0.0:
        tend(u, units, facts)
        return
    if unit.look_in <= 0:
        unit.look_in = TRIGGER_PERIOD
        if unit.target == NO_UNIT:
            unit.target = _nearest(unit, units, facts)
    unit.look_in -= 1
    if unit.target != NO_UNIT:
        engage(unit, units, progress, facts)


@part
def _nearest(unit: Unit, units: Units, facts: MapFacts) -> int:
    """Return the nearest living ally, between centres, that the unit's weapon can hit, or NO_UNIT.

    The game rejects an order on another one, as on a Medivac, and the unit would stand still.
    """
    nearest = math.inf
    found = NO_UNIT
    for a in range(facts.n_agents):
        dx = units[a].x - unit.x
        dy = units[a].y - unit.y
        square = dx * dx + dy * dy
        if square < nearest and units[a].health > 0.0 and can_hit(unit, units[a], facts):
            nearest = square
            found = a
    return found
