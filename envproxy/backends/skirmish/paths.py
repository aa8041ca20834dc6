"""Ways around walls: for every two cells of a map, where to walk first. Worked out once, when a map is loaded.

The shortest way between two points among walls bends only at the walls' corners. So a way is a straight line, or a
straight line to a corner and a way from there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

STRAIGHT: Final = 255  # nothing is in between
NO_WAY: Final = 254

_SAMPLES_PER_CELL: Final = 4
_HALF_WIDTH: Final = 0.45  # of the lane that must be free for a straight line


class Ways(NamedTuple):
    """`first` uint8 [cells, cells], cell = row * width + column: STRAIGHT, NO_WAY or an index into `corners` [C, 2].

    A map without inner corners has `first` of shape [0, 0]: all its ways are straight.
    """

    first: NDArray[np.uint8]
    corners: NDArray[np.float64]  # x, y


def find_ways(pathable: NDArray[np.bool_], start: tuple[float, float]) -> Ways:
    """Return the ways among the cells of `pathable` [height, width] that can be reached from `start` (x, y)."""
    area = _flood(pathable, int(start[0]), int(start[1]))
    corners = _corners(pathable) & area
    if not corners.any():
        return Ways(np.zeros((0, 0), np.uint8), np.zeros((0, 2)))
    rows, columns = np.nonzero(area)
    centres = np.stack([columns + 0.5, rows + 0.5], 1)
    is_corner = corners[rows, columns]
    straight = _straight(pathable, centres)
    distance = np.hypot(*(centres[:, None] - centres).transpose(2, 0, 1))
    direct = np.where(straight, distance, np.inf)
    between = direct[np.ix_(is_corner, is_corner)]
    for via in range(len(between)):  # Floyd and Warshall
        between = np.minimum(between, between[:, via, None] + between[via])
    best = direct.copy()
    first = np.full(direct.shape, NO_WAY, np.uint8)
    first[straight] = STRAIGHT
    to_corner = direct[:, is_corner]
    onward = np.stack([(between[corner][:, None] + to_corner.T).min(0) for corner in range(len(between))])
    to_corner[to_corner == 0.0] = np.inf  # a unit at a corner continues to the next
    for corner in range(len(between)):
        length = to_corner[:, corner, None] + onward[corner]
        better = length < best - 1e-9
        best[better] = length[better]
        first[better] = corner
    every = np.full((pathable.size, pathable.size), NO_WAY, np.uint8)
    cells = rows * pathable.shape[1] + columns
    every[np.ix_(cells, cells)] = first
    return Ways(every, centres[is_corner])


def islands(pathable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the walls [height, width] that have another side: those that are not joined to the map's edge."""
    outside = np.pad(~pathable, 1, constant_values=True)
    return ~pathable & ~_flood(outside, 0, 0)[1:-1, 1:-1]


def _flood(open_: NDArray[np.bool_], column: int, row: int) -> NDArray[np.bool_]:
    """Return what is joined to a cell, also over the corner of two cells."""
    reached = np.zeros_like(open_)
    reached[row, column] = open_[row, column]
    while True:
        wider = np.pad(reached, 1)
        height, width = open_.shape
        grown = np.zeros_like(open_)
        for down in range(3):
            for right in range(3):
                grown |= wider[down : down + height, right : right + width]
        grown &= open_
        if (grown == reached).all():
            return reached
        reached = grown


def _corners(pathable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells at which a wall's corner juts out, and the two cells of each gap between two walls' corners."""
    wide = np.pad(pathable, 1)
    height, width = pathable.shape
    found = np.zeros_like(pathable)
    for down in (0, 2):
        for right in (0, 2):
            diagonal = wide[down : down + height, right : right + width]
            beside = wide[1:-1, right : right + width]
            above = wide[down : down + height, 1:-1]
            found |= (~diagonal & beside & above) | (diagonal & ~beside & ~above)
    return found & pathable


def _straight(pathable: NDArray[np.bool_], centres: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return [n, n] whether a lane between two cells' centres is free of walls."""
    n = len(centres)
    one, other = np.triu_indices(n, 1)
    span = centres[other] - centres[one]
    length = np.hypot(span[:, 0], span[:, 1])
    aside = np.stack([-span[:, 1], span[:, 0]], 1) / length[:, None] * _HALF_WIDTH
    free = np.ones(len(one), np.bool_)
    steps = int(np.ceil(length.max() * _SAMPLES_PER_CELL))
    for step in range(1, steps):
        # Samples lie at equal distances; a line shorter than that has been walked to its end.
        walked = step / _SAMPLES_PER_CELL
        open_ = np.flatnonzero(free & (walked < length))
        if not open_.size:
            break
        middle = centres[one[open_]] + span[open_] * (walked / length[open_])[:, None]
        clear = np.ones(len(open_), np.bool_)
        for sign in (-1.0, 0.0, 1.0):
            at = np.floor(middle + sign * aside[open_]).astype(np.int64)
            clear &= pathable[at[:, 1], at[:, 0]]
        free[open_] = clear
    # Two cells that touch at a corner are joined, however narrow the gap.
    free |= (np.abs(span) <= 1.0).all(1)
    result = np.eye(n, dtype=np.bool_)
    result[one, other] = result[other, one] = free
    return result
