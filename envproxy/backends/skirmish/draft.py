"""Teams and places that are drawn for each battle: who fights, and where each unit is created.

Both sides have the same types: enemy i is of the type of ally i, and an enemy without such an ally is drawn like the
allies. Half of the battles mirror the allies' places; in the other half the enemies stand around the allies.
"""

from __future__ import annotations

from typing import Final

from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import Progress, Unit, Units
from envproxy.backends.skirmish.rng import uniform
from operations.compiled import part

ABOVE_IT_SURROUNDED: Final = 0.5  # of a number in [0, 1)
MIDDLE_BUFFER: Final = 1.0  # no ally of a mirrored battle stands so near to the middle, nor its image
RING: Final = 2.0  # the enemies around the allies keep so far from the middle along each axis
MOST_GROUPS: Final = 4  # of enemies around the allies, each on a diagonal of its own
_EDGE: Final = 1.0 / 4096.0  # how far from the map's edge in the north and east a unit stays


@part
def draw_teams(units: Units, progress: Progress, facts: MapFacts) -> None:
    """Draw the kind of every unit."""
    shared = min(facts.n_agents, facts.n_enemies)
    _draw_kinds(units, 0, facts.n_agents, progress, facts)
    for i in range(shared):
        units[facts.n_agents + i].kind = facts.n_ally_kinds + units[i].kind
    surplus = facts.n_agents + shared
    _draw_kinds(units, surplus, len(units), progress, facts)
    for u in range(surplus, len(units)):
        units[u].kind += facts.n_ally_kinds


@part
def draw_points(units: Units, progress: Progress, facts: MapFacts) -> None:
    """Draw the point at which every unit is created; several units may have one."""
    if uniform(progress, 0.0, 1.0) > ABOVE_IT_SURROUNDED:
        _surround(units, progress, facts)
    else:
        _mirror(units, progress, facts)


@part
def _draw_kinds(units: Units, first: int, end: int, progress: Progress, facts: MapFacts) -> None:
    """Draw the kinds of units `first` to `end` - 1, as those of allies, until one of them may be alone."""
    alone = first == end
    while not alone:
        for u in range(first, end):
            left = uniform(progress, 0.0, 1.0)
            kind = 0
            while kind < facts.n_ally_kinds - 1 and left >= facts.kinds[kind].share:
                left -= facts.kinds[kind].share
                kind += 1
            units[u].kind = kind
            alone = alone or not facts.kinds[kind].never_alone


@part
def _mirror(units: Units, progress: Progress, facts: MapFacts) -> None:
    """Put each ally anywhere on the western half, and each enemy at the image of its ally in the middle line.

    An enemy without such an ally stands anywhere on the eastern half.
    """
    height, width = facts.pathable.shape
    for u in range(facts.n_agents):
        units[u].x = uniform(progress, 0.0, width / 2 - MIDDLE_BUFFER)
        units[u].y = uniform(progress, 0.0, height)
    for u in range(facts.n_agents, len(units)):
        ally = u - facts.n_agents
        if ally < facts.n_agents:
            units[u].x = min(width - units[ally].x, width - _EDGE)
            units[u].y = units[ally].y
        else:
            units[u].x = uniform(progress, width / 2, width)
            units[u].y = uniform(progress, 0.0, height)


@part
def _surround(units: Units, progress: Progress, facts: MapFacts) -> None:
    """Put all allies in the middle, and the enemies in one to four groups between the middle and the corners.

    Each enemy is of each group with the same chance; they go to the groups in their order. A group may be empty.
    """
    height, width = facts.pathable.shape
    for u in range(facts.n_agents):
        units[u].x = width / 2
        units[u].y = height / 2
    groups = 1 + int(uniform(progress, 0.0, MOST_GROUPS))
    free = (1 << MOST_GROUPS) - 1  # bit k: the diagonal k has no group
    first = facts.n_agents
    for group in range(groups):
        diagonal = _draw_bit(free, MOST_GROUPS - group, progress)
        free &= ~(1 << diagonal)
        end = first + _draw_size(len(units) - first, groups - group, progress)
        inwards = uniform(progress, 0.0, 1.0)
        for u in range(first, end):
            _put_on_diagonal(units[u], diagonal, inwards, width, height)
        first = end


@part
def _draw_bit(bits: int, count: int, progress: Progress) -> int:
    """Return the number of one of the `count` bits that are set, each as likely as the others."""
    skip = int(uniform(progress, 0.0, count))
    bit = 0
    while skip > 0 or not (bits >> bit) & 1:
        if (bits >> bit) & 1:
            skip -= 1
        bit += 1
    return bit


@part
def _draw_size(enemies: int, groups: int, progress: Progress) -> int:
    """Return how many of the `enemies` that are left are of the first of the `groups` that are left."""
    if groups == 1:
        return enemies
    size = 0
    for _ in range(enemies):
        if uniform(progress, 0.0, groups) < 1.0:
            size += 1
    return size


@part
def _put_on_diagonal(unit: Unit, diagonal: int, inwards: float, width: int, height: int) -> None:
    """Put a unit between a corner, at `inwards` 0, and the ring around the middle, at 1."""
    east = diagonal in (2, 3)
    north = diagonal in (1, 2)
    corner_x = width if east else 0.0
    corner_y = height if north else 0.0
    inner_x = width / 2 + (RING if east else -RING)
    inner_y = height / 2 + (RING if north else -RING)
    unit.x = min(inwards * inner_x + (1.0 - inwards) * corner_x, width - _EDGE)
    unit.y = min(inwards * inner_y + (1.0 - inwards) * corner_y, height - _EDGE)
