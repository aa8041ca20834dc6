"""How the game plays a map: by which package, under which of its names, and out of which file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from envproxy import maps
from envproxy.maps import BattleMap, DrawnTeams

_WIDTH: Final = 32  # cells of the map that drawn teams are played on
_MIRRORED: Final = 0.5  # the share of battles in which places are mirrored


@dataclass(frozen=True)
class GameMap:
    """What a worker and the probe are told of a map."""

    package: str  # smac or smacv2
    registered: str  # the map's name in the package's registry
    file: str  # the map file's, without its ending
    capabilities: dict[str, Any] | None  # what smacv2 draws teams and places from
    enemy_hp: float | None  # of all enemies, for the reward's divisor; None: that of the units which are there


def game_map(one: BattleMap) -> GameMap:
    """Return how the game plays a map."""
    if not isinstance(one.teams, DrawnTeams):
        return GameMap("smac", one.name, one.name, None, None)
    race, *_ = one.name.split("_")
    capabilities = {
        "n_units": one.n_agents,
        "n_enemies": one.n_enemies,
        "team_gen": {
            "dist_type": "weighted_teams",
            "unit_types": [unit.lower() for unit in one.teams.shares],
            "weights": list(one.teams.shares.values()),
            "exception_unit_types": sorted(unit.lower() for unit in one.teams.never_alone),
            "observe": True,
        },
        "start_positions": {
            "dist_type": "surrounded_and_reflect",
            "p": _MIRRORED,
            "map_x": _WIDTH,
            "map_y": _WIDTH,
        },
    }
    units = maps.facts()["units"]
    mean = sum(share * (units[unit]["health"] + units[unit]["shield"]) for unit, share in one.teams.shares.items())
    return GameMap("smacv2", f"10gen_{race}", "32x32_flat", capabilities, one.n_enemies * mean)
