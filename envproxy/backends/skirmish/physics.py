"""Moving bodies: walking, walls, and units that do not stand in one another."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.paths import NO_WAY, STRAIGHT
from envproxy.backends.skirmish.records import GROUND, Unit, Units
from operations.compiled import part

PASSES: Final = 2  # of pushing overlapping units apart, per loop
MOST_PASSES: Final = 8
DEEP: Final = 0.3  # an overlap, of two units' reach
MARGIN: Final = 0.2  # how much further than they reach two units are neighbours
NEIGHBOURS: Final = 8  # pairs per unit that there is room for
ASIDE: Final = 4  # loops of walking along an obstacle after touching it
FORGET_DETOUR: Final = 8  # loops without an obstacle until a unit may choose another side
# Two friends who walk into each other yield unequally, or they would stand in a gap for ever, each in the other's way.
SHARE_OF_THE_FIRST: Final = 0.25
_NEXT_TO_NOTHING: Final = 1e-9
_SKIN: Final = 1.0 / 4096.0  # how far from a wall in the north or east a unit is stopped


@part
def is_pathable(x: float, y: float, pathable: NDArray[np.bool_]) -> bool:
    """Tell whether the cell of a point is on the map and can be walked on."""
    column = math.floor(x)
    row = math.floor(y)
    height, width = pathable.shape
    return bool(0 <= column < width and 0 <= row < height and pathable[row, column])


@part
def way(x: float, y: float, to_x: float, to_y: float, facts: MapFacts) -> int:
    """Return where a ground unit walks first: STRAIGHT, an index into `facts.corners`, or NO_WAY."""
    if not is_pathable(to_x, to_y, facts.pathable):
        return NO_WAY
    if len(facts.ways) == 0:
        return STRAIGHT
    width = facts.pathable.shape[1]
    here = math.floor(y) * width + math.floor(x)
    there = math.floor(to_y) * width + math.floor(to_x)
    return int(facts.ways[here, there])


@part
def walk(unit: Unit, x: float, y: float, facts: MapFacts) -> None:
    """Take one loop's walk towards a point: the shortest way, or along a body that it has just walked into.

    Where there is no way it walks straight on, as far as the walls let it.
    """
    kind = facts.kinds[unit.kind]
    if kind.layer == GROUND:
        first = way(unit.x, unit.y, x, y, facts)
        if first < len(facts.corners):
            x = facts.corners[first, 0]
            y = facts.corners[first, 1]
    dx = x - unit.x
    dy = y - unit.y
    distance = math.sqrt(dx * dx + dy * dy)
    if distance == 0.0 or kind.speed == 0.0:
        return
    unit.pace = min(kind.speed, unit.pace + kind.acceleration)
    stride = unit.pace
    unit.moved = True
    unit.detour_in = max(0, unit.detour_in - 1)
    if unit.detour_in == 0:
        unit.detour = 0
    if unit.detour_in <= FORGET_DETOUR - ASIDE:
        stride = min(stride, distance)
        unit.heading_x = dx / distance
        unit.heading_y = dy / distance
    _shift(unit, stride * unit.heading_x, stride * unit.heading_y, facts)


@part
def separate(units: Units, near: NDArray[np.int64], facts: MapFacts) -> None:
    """Push apart living units of one layer whose separation circles overlap. `near` [P, 2] is room to work in.

    Pushing one pair apart may press another together: a crowd is given PASSES sweeps over its pairs, to and fro, and
    more only where some are deep in one another.
    """
    _sort_by_x(units)
    pairs = _find_neighbours(units, near, facts)
    for sweep in range(MOST_PASSES):
        spared = 0.0 if sweep < PASSES else DEEP / 2
        deepest = _push_overlapping(units, near[:pairs], spared, sweep % 2 == 0, facts)
        if deepest == 0.0 or (sweep + 1 >= PASSES and deepest < DEEP):
            return


@part
def _sort_by_x(units: Units) -> None:
    """Bring `by_x` up to date. Units walk little in a loop, so an insertion sort has little to do."""
    for k in range(1, len(units)):
        u = units[k].by_x
        x = units[u].x
        at = k
        while at > 0 and units[units[at - 1].by_x].x > x:
            units[at].by_x = units[at - 1].by_x
            at -= 1
        units[at].by_x = u


@part
def _find_neighbours(units: Units, near: NDArray[np.int64], facts: MapFacts) -> int:
    """Fill `near` with the pairs that overlap or could when others are pushed; return how many there are.

    A unit that is further away along x alone is not looked at. Pairs without room are left for the
    next loop.
    """
    pairs = 0
    for k in range(len(units) - 1):
        i = units[k].by_x
        unit = units[i]
        if unit.health <= 0.0:
            continue
        kind = facts.kinds[unit.kind]
        furthest = kind.separation_radius + facts.widest + MARGIN
        for n in range(k + 1, len(units)):
            j = units[n].by_x
            other = units[j]
            if other.x - unit.x >= furthest:
                break
            other_kind = facts.kinds[other.kind]
            reach = kind.separation_radius + other_kind.separation_radius + MARGIN
            if (
                abs(other.y - unit.y) < reach
                and other.health > 0.0
                and other_kind.layer == kind.layer
                and pairs < len(near)
            ):
                near[pairs, 0] = i
                near[pairs, 1] = j
                pairs += 1
    return pairs


@part
def _push_overlapping(units: Units, pairs: NDArray[np.int64], spared: float, eastward: bool, facts: MapFacts) -> float:
    """Push every pair apart that overlaps by more than `spared`, once, one after the other.

    A unit squeezes past a friend that fights, as near as their cores; once it fights too they make room for each other.
    Return the largest overlap that there was. Overlaps are shares, 0..1, of what a pair needs between its centres.
    """
    deepest = 0.0
    close = (1.0 - spared) * (1.0 - spared)
    for p in range(len(pairs)):
        pair = pairs[p] if eastward else pairs[len(pairs) - 1 - p]
        i, j = pair
        unit = units[i]
        other = units[j]
        reach = facts.kinds[unit.kind].separation_radius + facts.kinds[other.kind].separation_radius
        dx = other.x - unit.x
        dy = other.y - unit.y
        square = dx * dx + dy * dy
        if square < close * reach * reach:
            friends = (i < facts.n_agents) == (j < facts.n_agents)
            if friends and unit.fights != other.fights:
                reach = facts.kinds[unit.kind].core_radius + facts.kinds[other.kind].core_radius
                if square >= close * reach * reach:
                    continue
            deepest = max(deepest, 1.0 - math.sqrt(square) / reach)
            share = SHARE_OF_THE_FIRST if i < j else 1.0 - SHARE_OF_THE_FIRST
            if not (friends and unit.moved and other.moved):
                share = 0.5
            if spared == 0.0:  # else it is squeezed: no unit stands its ground
                share = _share_of_who_walks(unit, other, share, friends)
            _push(unit, other, share, reach, facts)
    return deepest


@part
def _share_of_who_walks(unit: Unit, other: Unit, share: float, friends: bool) -> float:
    """Return how much `unit` yields, 0..1: `share`, but for who walks into one that does not.

    If that one fights, or is of the other side, who walks yields alone and goes around it.
    """
    dx = other.x - unit.x
    dy = other.y - unit.y
    if unit.moved and not other.moved and (other.fights or not friends):
        _go_around(unit, dx, dy)
        return 1.0
    if other.moved and not unit.moved and (unit.fights or not friends):
        _go_around(other, -dx, -dy)
        return 0.0
    return share


@part
def _push(unit: Unit, other: Unit, share: float, reach: float, facts: MapFacts) -> None:
    """Bring two units to the distance `reach`; `unit` yields the given share of what they overlap.

    But no unit moves what is rooted, and for who stands with his back to a wall the other yields.
    """
    dx = other.x - unit.x
    dy = other.y - unit.y
    distance = math.sqrt(dx * dx + dy * dy)
    if distance > 0.0:
        dx /= distance
        dy /= distance
    else:
        dx = 1.0  # one on the other: the pair has no direction of its own
    if facts.kinds[other.kind].speed == 0.0:
        share = 1.0
    elif facts.kinds[unit.kind].speed == 0.0:
        share = 0.0
    depth = reach - distance
    walled = _shift(unit, -share * depth * dx, -share * depth * dy, facts)
    if walled and facts.kinds[other.kind].speed > 0.0:
        share = 0.0
    walled = _shift(other, (1.0 - share) * depth * dx, (1.0 - share) * depth * dy, facts)
    if walled and facts.kinds[unit.kind].speed > 0.0:
        _shift(unit, -depth * dx, -depth * dy, facts)


@part
def _go_around(unit: Unit, dx: float, dy: float) -> None:
    """Make a unit's next walks lead along an obstacle in the direction (dx, dy).

    It stays on the side that it has once chosen, or it would be caught between two.
    """
    if unit.detour == 0:
        unit.detour = 1 if unit.heading_y * dx - unit.heading_x * dy >= 0.0 else -1
    distance = max(math.sqrt(dx * dx + dy * dy), _NEXT_TO_NOTHING)
    unit.heading_x = -unit.detour * dy / distance
    unit.heading_y = unit.detour * dx / distance
    unit.detour_in = FORGET_DETOUR


@part
def _shift(unit: Unit, dx: float, dy: float, facts: MapFacts) -> bool:
    """Displace a unit by less than a cell along each axis, as far as the walls let its centre go.

    Return whether one was in its way.
    """
    walkable = facts.walkable[facts.kinds[unit.kind].layer]
    x = unit.x + dx
    y = unit.y + dy
    free = is_pathable(x, y, walkable)
    if not free:
        if not is_pathable(x, unit.y, walkable):
            x = math.floor(x) - _SKIN if dx > 0.0 else math.floor(x) + 1.0
        if not is_pathable(x, y, walkable):
            y = math.floor(y) - _SKIN if dy > 0.0 else math.floor(y) + 1.0
    unit.x = x
    unit.y = y
    return not free
