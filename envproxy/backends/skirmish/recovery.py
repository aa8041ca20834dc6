"""What makes units whole again: shields, Zerg flesh, and Medivacs."""

from __future__ import annotations

from typing import Final

from envproxy.backends.skirmish.combat import gap
from envproxy.backends.skirmish.maps import LOOPS_PER_SECOND, MapFacts
from envproxy.backends.skirmish.physics import walk
from envproxy.backends.skirmish.records import Unit, Units
from operations.compiled import part

SHIELD_REGENERATION: Final = 2.0 / LOOPS_PER_SECOND
SHIELD_DELAY: Final = 10 * LOOPS_PER_SECOND


@part
def recover(unit: Unit, facts: MapFacts) -> None:
    """Let one loop pass for a living unit: shields that have not been hit for a while, Zerg health, and energy rise."""
    kind = facts.kinds[unit.kind]
    unit.calm += 1
    if unit.calm > SHIELD_DELAY and unit.shield < kind.shield:
        unit.shield = min(kind.shield, unit.shield + SHIELD_REGENERATION)
    if unit.health < kind.health:
        unit.health = min(kind.health, unit.health + kind.regeneration)
    unit.energy = min(kind.max_energy, unit.energy + kind.energy_regeneration)


@part
def can_use_healing(unit: Unit, facts: MapFacts) -> bool:
    """Tell whether a unit lives, is hurt, and is of flesh."""
    kind = facts.kinds[unit.kind]
    return bool(0.0 < unit.health < kind.health and kind.biological)


@part
def heal(unit: Unit, u: int, units: Units, facts: MapFacts) -> None:
    """Act for one loop on the order to heal the living unit `u`: come into range, and heal it as far as it is hurt."""
    kind = facts.kinds[unit.kind]
    patient = units[u]
    if gap(unit, patient, facts) > kind.heal_range:
        walk(unit, patient.x, patient.y, facts)
        return
    if can_use_healing(patient, facts) and unit.energy > 0.0:
        lacking = facts.kinds[patient.kind].health - patient.health
        healed = min(lacking, kind.heal_rate, unit.energy / kind.heal_cost)
        patient.health += healed
        unit.energy = max(0.0, unit.energy - healed * kind.heal_cost)  # rounding may take a little more than all of it
        unit.healing = u
