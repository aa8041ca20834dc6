"""skirmish, the embedded battle simulator: SMAC's rules over a small engine of StarCraft II's units."""

from __future__ import annotations

from envproxy.backends.skirmish.battles import Skirmish
from envproxy.backends.skirmish.maps import map_names
from envproxy.backends.skirmish.snapshot import Snapshot
from envproxy.rules import SMAC_RULES, Rules

__all__ = ["Skirmish", "Snapshot", "create", "map_names"]


def create(map_name: str, battles: int, rules: Rules = SMAC_RULES) -> Skirmish:
    """Return `battles` battles of a map of `map_names()`, none of them started."""
    return Skirmish(map_name, battles, rules)
