"""Weapons: pursuit into range, the swing, the shot, and hits that land."""

from __future__ import annotations

import math
from typing import Final

from envproxy.backends.skirmish.maps import LOOPS_PER_SECOND, MapFacts
from envproxy.backends.skirmish.physics import walk
from envproxy.backends.skirmish.records import NO_UNIT, Progress, Unit, Units
from envproxy.backends.skirmish.rng import uniform
from operations.compiled import part

MIN_DAMAGE: Final = 0.5
BACKSWING: Final = 0.5 * LOOPS_PER_SECOND
EARLIEST: Final = -0.0625 * LOOPS_PER_SECOND  # the random part of a cooldown
LATEST: Final = 0.125 * LOOPS_PER_SECOND


@part
def gap(unit: Unit, other: Unit, facts: MapFacts) -> float:
    """Return the distance from edge to edge, as weapon ranges are meant."""
    dx = other.x - unit.x
    dy = other.y - unit.y
    radii = facts.kinds[unit.kind].radius + facts.kinds[other.kind].radius
    return float(math.sqrt(dx * dx + dy * dy) - radii)


@part
def can_hit(unit: Unit, other: Unit, facts: MapFacts) -> bool:
    """Tell whether a unit's weapon may be aimed at another: not at what flies if it reaches the ground only."""
    return bool(facts.damage[unit.kind, other.kind] > 0.0)


@part
def engage(unit: Unit, units: Units, progress: Progress, facts: MapFacts) -> None:
    """Act for one loop on the order to attack `unit.target`, a living unit: come into range, swing, shoot.

    A swing may begin while the weapon still cools down, so that a steady attacker shoots once per period.
    """
    kind = facts.kinds[unit.kind]
    target = units[unit.target]
    distance = gap(unit, target, facts)
    if distance > kind.range + (kind.range_slop if unit.swinging else 0.0):
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
    somebody_bursts = False
    for u in range(len(units)):
        unit = units[u]
        if unit.strikes > 0 and unit.strike_in <= 0.0:
            kind = facts.kinds[unit.kind]
            unit.strikes -= 1
            unit.strike_in = kind.hit_interval
            if kind.burst > 0.0:
                _die(unit, facts)
            elif kind.beam > 0.0:
                _sweep(u, units, facts)
            else:
                _hit(u, unit.victim, units, facts)
        somebody_bursts = somebody_bursts or facts.kinds[unit.kind].burst > 0.0
    while somebody_bursts:
        somebody_bursts = False
        for u in range(len(units)):
            if units[u].bursting:  # its blast may set off others
                units[u].bursting = False
                _burst(u, units, facts)
                somebody_bursts = True


@part
def _sweep(u: int, units: Units, facts: MapFacts) -> None:
    """Hit all units of the other side on a line through the victim, at right angles to the shot."""
    unit = units[u]
    kind = facts.kinds[unit.kind]
    middle_x = units[unit.victim].x
    middle_y = units[unit.victim].y
    shot_x = middle_x - unit.x
    shot_y = middle_y - unit.y
    length = math.sqrt(shot_x * shot_x + shot_y * shot_y)
    if length > 0.0:
        shot_x /= length
        shot_y /= length
    else:
        shot_x = 1.0  # right below: any direction is as good
    first, last = _other_side(u, len(units), facts)
    for v in range(first, last):
        other = units[v]
        dx = other.x - middle_x
        dy = other.y - middle_y
        along = dy * shot_x - dx * shot_y
        beyond = max(0.0, abs(along) - kind.beam)
        aside = dx * shot_x + dy * shot_y
        reach = kind.beam_radius + facts.kinds[other.kind].radius
        if beyond * beyond + aside * aside <= reach * reach:
            _hit(u, v, units, facts)


@part
def _burst(u: int, units: Units, facts: MapFacts) -> None:
    """Hit all units of the other side that the blast of unit `u` touches."""
    unit = units[u]
    first, last = _other_side(u, len(units), facts)
    for v in range(first, last):
        other = units[v]
        dx = other.x - unit.x
        dy = other.y - unit.y
        reach = facts.kinds[unit.kind].burst + facts.kinds[other.kind].radius
        if dx * dx + dy * dy <= reach * reach:
            _hit(u, v, units, facts)


@part
def _other_side(u: int, n_units: int, facts: MapFacts) -> tuple[int, int]:
    """Return the range of the units that are not on the side of unit `u`."""
    if u < facts.n_agents:
        return facts.n_agents, n_units
    return 0, facts.n_agents


@part
def _hit(u: int, v: int, units: Units, facts: MapFacts) -> None:
    """Let unit `u` hit unit `v` once: its shield, and with what is left, less the armour, its health."""
    victim = units[v]
    damage = facts.damage[units[u].kind, victim.kind]
    if victim.health <= 0.0 or damage <= 0.0:
        return
    victim.attacker = u
    victim.calm = 0
    absorbed = min(victim.shield, damage)
    wound = 0.0
    if absorbed < damage:
        wound = min(victim.health, max(MIN_DAMAGE, damage - absorbed - facts.kinds[victim.kind].armour))
    victim.shield -= absorbed
    victim.health -= wound
    units[u].dealt += absorbed + wound
    if victim.health <= 0.0:
        _die(victim, facts)


@part
def _die(unit: Unit, facts: MapFacts) -> None:
    unit.health = 0.0
    unit.shield = 0.0
    unit.target = NO_UNIT
    unit.bursting = facts.kinds[unit.kind].burst > 0.0
