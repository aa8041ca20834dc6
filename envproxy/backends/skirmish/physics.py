"""Moving bodies: walking, walls, and units that do not stand in one another."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import Unit, Units

PASSES: Final = 2  # of pushing overlapping units apart, per loop
ASIDE: Final = 4  # loops of walking along an obstacle after touching it
FORGET_DETOUR: Final = 8  # loops without an obstacle until a unit may choose another side
_SKIN: Final = 1.0 / 4096.0  # how far from a wall in the north or east a unit is stopped


@part
def is_pathable(x: float, y: float, pathable: NDArray[np.bool_]) -> bool:
    """Tell whether the cell of a point is on the map and can be walked on."""
    column = math.floor(x)
    row = math.floor(y)
    height, width = pathable.shape
    return bool(0 <= column < width and 0 <= row < height and pathable[row, column])


@part
def walk(unit: Unit, x: float, y: float, facts: MapFacts) -> None:
    """Take one loop's walk towards a point: straight, or along an obstacle that it has just walked into."""
    dx = x - unit.x
    dy = y - unit.y
    distance = math.sqrt(dx * dx + dy * dy)
    if distance == 0.0:
        return
    speed = facts.kinds[unit.kind].speed
    unit.moved = True
    unit.detour_in = max(0, unit.detour_in - 1)
    if unit.detour_in == 0:
        unit.detour = 0
    if unit.detour_in <= FORGET_DETOUR - ASIDE:
        speed = min(speed, distance)
        unit.heading_x = dx / distance
        unit.heading_y = dy / distance
    _shift(unit, speed * unit.heading_x, speed * unit.heading_y, facts.pathable)


@part
def separate(units: Units, facts: MapFacts) -> None:
    """Push apart living units whose separation circles overlap.

    Pushing one pair apart may press another together; a crowd is given PASSES loops over its pairs, no more.
    """
    for _ in range(PASSES):
        if not _push_overlapping(units, facts):
            return


@part
def _push_overlapping(units: Units, facts: MapFacts) -> bool:
    """Push every overlapping pair apart once, one after the other. Return whether there was any."""
    found = False
    for i in range(len(units) - 1):
        unit = units[i]
        if unit.health <= 0.0:
            continue
        own_radius = facts.kinds[unit.kind].separation_radius
        for j in range(i + 1, len(units)):
            other = units[j]
            if other.health <= 0.0:
                continue
            reach = own_radius + facts.kinds[other.kind].separation_radius
            dx = other.x - unit.x
            dy = other.y - unit.y
            if dx * dx + dy * dy < reach * reach:
                found = True
                friends = (i < facts.n_agents) == (j < facts.n_agents)
                _push(unit, other, reach, friends, facts)
    return found


@part
def _push(unit: Unit, other: Unit, reach: float, friends: bool, facts: MapFacts) -> None:
    """Bring two units to the distance `reach`.

    Each yields half, but who walks into one that fights, or into one of the other side that stands, yields alone
    and goes around it.
    """
    dx = other.x - unit.x
    dy = other.y - unit.y
    distance = math.sqrt(dx * dx + dy * dy)
    if distance > 0.0:
        dx /= distance
        dy /= distance
    else:
        dx = 1.0  # one on the other: the pair has no direction of its own
    share = 0.5
    if unit.moved and not other.moved and (other.fights or not friends):
        share = 1.0
        _go_around(unit, dx, dy)
    elif other.moved and not unit.moved and (unit.fights or not friends):
        share = 0.0
        _go_around(other, -dx, -dy)
    depth = reach - distance
    _shift(unit, -share * depth * dx, -share * depth * dy, facts.pathable)
    _shift(other, (1.0 - share) * depth * dx, (1.0 - share) * depth * dy, facts.pathable)


@part
def _go_around(unit: Unit, dx: float, dy: float) -> None:
    """Make a unit's next walks lead along an obstacle in the direction (dx, dy), a unit vector.

    It stays on the side that it has once chosen, or it would be caught between two.
    """
    if unit.detour == 0:
        unit.detour = 1 if unit.heading_y * dx - unit.heading_x * dy >= 0.0 else -1
    unit.heading_x = -unit.detour * dy
    unit.heading_y = unit.detour * dx
    unit.detour_in = FORGET_DETOUR


@part
def _shift(unit: Unit, dx: float, dy: float, pathable: NDArray[np.bool_]) -> None:
    """Displace a unit by less than a cell along each axis, as far as the walls let its centre go."""
    x = unit.x + dx
    if not is_pathable(x, unit.y, pathable):
        x = math.floor(x) - _SKIN if dx > 0.0 else math.floor(x) + 1.0
    unit.x = x
    y = unit.y + dy
    if not is_pathable(x, y, pathable):
        y = math.floor(y) - _SKIN if dy > 0.0 else math.floor(y) + 1.0
    unit.y = y
