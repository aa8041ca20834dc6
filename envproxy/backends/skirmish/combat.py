"""Weapons: pursuit into range, the swing, the shot, and hits that land (spec section 11)."""

from __future__ import annotations

import math
from typing import Final

from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.maps import LOOPS_PER_SECOND, MapFacts
from envproxy.backends.skirmish.physics import walk
from envproxy.backends.skirmish.records import NOBODY, Progress, Unit, Units
from envproxy.backends.skirmish.rng import uniform

MIN_DAMAGE: Final = 0.5
RANGE_SLOP: Final = 1.0  # how far beyond its range a weapon still finishes a swing
BACKSWING: Final = 0.5 * LOOPS_PER_SECOND
EARLIEST: Final = -0.0625 * LOOPS_PER_SECOND  # the random part of a cooldown
LATEST: Final = 0.125 * LOOPS_PER_SECOND
SHIELD_REGEN: Final = 2.0 / LOOPS_PER_SECOND
SHIELD_REGEN_DELAY: Final = 10 * LOOPS_PER_SECOND


@part
def gap(unit: Unit, other: Unit, facts: MapFacts) -> float:
    """Return the distance from edge to edge, as weapon ranges are meant."""
    dx = other.x - unit.x
    dy = other.y - unit.y
    radii = facts.kinds[unit.kind].radius + facts.kinds[other.kind].radius
    return float(math.sqrt(dx * dx + dy * dy) - radii)


@part
def engage(unit: Unit, units: Units, progress: Progress, facts: MapFacts) -> None:
    """Act for one loop on the order to attack `unit.target`, a living unit: come into range, swing, shoot.

    A swing may begin while the weapon still cools down, so that a steady attacker shoots once per period.
    """
    kind = facts.kinds[unit.kind]
    target = units[unit.target]
    distance = gap(unit, target, facts)
    if distance > kind.range + (RANGE_SLOP if unit.swinging else 0.0):
        unit.swinging = False
        if unit.backswing_in <= 0.0:
            walk(unit, target.x, target.y, facts)
        return
    unit.fights = True
    if not unit.swinging:
        if unit.cooldown > kind.damage_point:
            return
        unit.swinging = True
        unit.swing_in = kind.damage_point
    if unit.swing_in <= 0.0 and unit.cooldown <= 0.0:
        unit.swinging = False
        unit.cooldown = kind.period + uniform(progress, EARLIEST, LATEST)
        unit.backswing_in = BACKSWING
        unit.victim = unit.target
        unit.strikes = kind.hits
        unit.shots += 1
        unit.strike_in = max(0.0, distance) / kind.missile_speed if kind.missile_speed > 0.0 else 0.0


@part
def tick_weapon(unit: Unit, facts: MapFacts) -> None:
    """Let one loop pass for a unit's weapon. What a dead unit threw still flies; its blows end with it."""
    unit.cooldown = max(0.0, unit.cooldown - 1.0)
    unit.swing_in = max(0.0, unit.swing_in - 1.0)
    unit.backswing_in = max(0.0, unit.backswing_in - 1.0)
    unit.strike_in = max(0.0, unit.strike_in - 1.0)
    if unit.health <= 0.0 and facts.kinds[unit.kind].missile_speed == 0.0:
        unit.strikes = 0


@part
def land_strikes(units: Units, facts: MapFacts) -> None:
    """Deal all hits that are due. It comes after everybody has acted, so a loop's shots are simultaneous."""
    for u in range(len(units)):
        unit = units[u]
        if unit.strikes > 0 and unit.strike_in <= 0.0:
            _hit(units[unit.victim], facts.damage[unit.kind, units[unit.victim].kind], facts)
            units[unit.victim].attacker = u
            unit.strikes -= 1
            unit.strike_in = facts.kinds[unit.kind].hit_interval


@part
def _hit(victim: Unit, damage: float, facts: MapFacts) -> None:
    """Take `damage` from the shield, and what is left of it, less the armour, from the health."""
    if victim.health <= 0.0:
        return
    victim.calm = 0
    absorbed = min(victim.shield, damage)
    victim.shield -= absorbed
    if absorbed < damage:
        victim.health -= max(MIN_DAMAGE, damage - absorbed - facts.kinds[victim.kind].armour)
    if victim.health <= 0.0:
        victim.health = 0.0
        victim.shield = 0.0
        victim.target = NOBODY


@part
def regenerate(unit: Unit, facts: MapFacts) -> None:
    """Let shields recover that have not been hit for a while."""
    full = facts.kinds[unit.kind].shield
    unit.calm += 1
    if unit.calm > SHIELD_REGEN_DELAY and unit.shield < full:
        unit.shield = min(full, unit.shield + SHIELD_REGEN)
