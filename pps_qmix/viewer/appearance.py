"""Colours and signs, the same on the page and in the animated picture."""

from __future__ import annotations

import math
from typing import Final

from operations.colours import PAGE_DARK, PAGE_LIGHT

DARK: Final = {
    **PAGE_DARK,
    "floor": "#212833",
    "grid": "#2a323e",
    "wall": "#0a0d12",
    "edge": "#475264",
    "ally": "#3987f0",
    "enemy": "#d8572a",
    "sign": "#ffffff",
    "shield": "#7fdcf5",
    "energy": "#b98cf0",
    "heal": "#5ff08a",
    "ally-shot": "#a5d0ff",
    "enemy-shot": "#ffbd8a",
    "burst": "#b5e853",
    "veil": "#05070ab8",
}

LIGHT: Final = {
    **PAGE_LIGHT,
    "floor": "#e9e5da",
    "grid": "#dfdacc",
    "wall": "#a9aeb8",
    "edge": "#7e8694",
    "ally": "#1f6fdc",
    "enemy": "#c8441b",
    "sign": "#ffffff",
    "shield": "#1699c4",
    "energy": "#8449d1",
    "heal": "#0d9a45",
    "ally-shot": "#0b4fae",
    "enemy-shot": "#a82f00",
    "burst": "#5c8a00",
    "veil": "#f3f5f8b8",
}

# Of a health ring, from the share at which a colour begins.
HEALTH: Final = ((0.6, "good"), (0.3, "fair"), (0.0, "poor"))

Polygon = tuple[tuple[float, float], ...]


def _regular(corners: int, turn: float = 0.0, inner: float = 1.0) -> Polygon:
    """A regular polygon in the unit circle, its first corner up; with `inner` < 1 a star of twice the corners."""
    points = corners if inner == 1.0 else 2 * corners
    radii = (1.0, inner)
    angles = (2.0 * math.pi * k / points + turn for k in range(points))
    return tuple(
        (round(radii[k % 2] * math.sin(a), 3), round(radii[k % 2] * math.cos(a), 3)) for k, a in enumerate(angles)
    )


_CROSS: Final = (
    (-0.3, 1.0), (0.3, 1.0), (0.3, 0.3), (1.0, 0.3), (1.0, -0.3), (0.3, -0.3),
    (0.3, -1.0), (-0.3, -1.0), (-0.3, -0.3), (-1.0, -0.3), (-1.0, 0.3), (-0.3, 0.3),
)  # fmt: skip

# The sign of a kind of unit: a polygon in the unit circle, y up. Legible where a unit is ten pixels wide.
SIGNS: Final[dict[str, Polygon]] = {
    "Marine": _regular(12),
    "Marauder": _regular(4, math.pi / 4),
    "Medivac": _CROSS,
    "Stalker": _regular(4, inner=0.42),
    "Zealot": _regular(3),
    "Colossus": _regular(6),
    "Zergling": ((-1.0, 0.75), (0.0, 0.2), (1.0, 0.75), (0.0, -1.0)),
    "Baneling": _regular(8, inner=0.5),
    "Hydralisk": _regular(3, inner=0.3),
    "SpineCrawler": ((0.0, 1.0), (0.45, 0.0), (0.0, -1.0), (-0.45, 0.0)),
}
OTHER_SIGN: Final = _regular(5)


def health_colour(share: float) -> str:
    """Return the name of the colour for a share of the full health."""
    return next(name for least, name in HEALTH if share > least)
