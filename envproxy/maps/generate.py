"""Write `facts.json`, what backends know about SMAC's maps and units, from the notes taken of SMAC.

python generate.py MAPS_JSON STATS_JSON CLIFFS_JSON > facts.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

PROFILE = "liberty"  # the only data set the maps declare as a dependency
OTHER_PROFILE = "lotv"

# Columns of the type one-hot. The enemy's are reversed on purpose in one of them: SMAC's issue 33.
TYPE_COLUMNS = {
    "stalkers_and_zealots": {"allies": ["Stalker", "Zealot"], "enemies": ["Zealot", "Stalker"]},
    "colossi_stalkers_zealots": {
        "allies": ["Colossus", "Stalker", "Zealot"],
        "enemies": ["Colossus", "Stalker", "Zealot"],
    },
    "MMM": {"allies": ["Marauder", "Marine", "Medivac"], "enemies": ["Marauder", "Marine", "Medivac"]},
    "bane": {"allies": ["Baneling", "Zergling"], "enemies": ["Baneling", "Zergling"]},
}
NO_COLUMNS: dict[str, list[str]] = {"allies": [], "enemies": []}

# What the notes say in words only.
SPLASH = {
    "Colossus": {"beam": {"half_length": 1.25, "radius": 0.15}},
    "Baneling": {"burst": {"radius": 2.2}},
}

# What the notes leave out: inner radii of the liberty data. Zerglings have none there, alone of all that fight on foot.
INNER_RADII = {"Baneling": 0.375}
NO_INNER_RADIUS = 0.0

# What the notes leave out: the height of cliff level 0, from t3SyncHeightMap of the .SC2Map files (256 are 1).
BASE_HEIGHT = 1.0
BASE_HEIGHTS = {"2s_vs_1sc": 0.0, "6h_vs_8z": 0.0, "bane_vs_bane": 0.0}


def map_facts(name: str, smac_map: dict[str, Any], cliffs: str) -> dict[str, Any]:
    """Keep of a map what a battle is made of; sizes follow from it. `cliffs` names the grid of its cliff levels."""
    army = {
        owner: [
            {"unit": spawn["unit"], "count": spawn["count"], "point": spawn["point"]}
            for spawn in smac_map["spawns"]
            if spawn["owner"] == owner
        ]
        for owner in (1, 2)
    }
    return {
        "episode_limit": smac_map["limit"],
        "ally_shields": smac_map["a_race"] == "P",
        "enemy_shields": smac_map["b_race"] == "P",
        "type_columns": TYPE_COLUMNS.get(smac_map["map_type"], NO_COLUMNS),
        "heals": smac_map["map_type"] == "MMM",
        "allies": army[1],
        "enemies": army[2],
        "enemy_order": smac_map["enemy_order"],
        "terrain": smac_map["terrain"],
        "cliffs": cliffs,
        "base_height": BASE_HEIGHTS.get(name, BASE_HEIGHT),
    }


def unit_facts(name: str, stats: dict[str, Any]) -> dict[str, Any]:
    """Return a unit's numbers, in seconds as the notes have them, with SMAC's cooldown divisor beside them.

    What the other profile changes is under its name, whole entries of the unit or of its weapon.
    """
    unit = stats[PROFILE][name]
    cooldowns = stats["smac_max_cooldown"]
    facts = {
        "health": unit["hp"],
        "shield": unit["shield"],
        "armour": unit["armor"],
        "attributes": unit["attrs"],
        "speed": unit["speed"],
        "acceleration": unit.get("accel", 0),
        "radius": unit["radius"],
        "separation_radius": unit["separation_radius"],
        "inner_radius": unit.get("inner_radius", INNER_RADII.get(name, NO_INNER_RADIUS)),
        "plane": unit["plane"],
        "regeneration": unit.get("regen", 0),
        "max_cooldown": cooldowns.get(name, cooldowns["default"]),
        "weapon": _weapon(unit["weapon"], stats) | SPLASH.get(name, {}) if unit["weapon"] else None,
    }
    if "energy" in unit:
        facts["energy"] = unit["energy"]
        heal = unit["heal"]
        facts["heal"] = {
            "range": heal["range"],
            "scan_range": heal["autocast_range"],
            "least_energy": heal["autocast_min_energy"],
            "rate": heal["hp_per_s"],
            "energy_per_health": heal["energy_per_hp"],
        }
    changed = stats["lotv_4_10_overrides"].get(name)
    if changed:
        names = {"hp": "health", "accel": "acceleration"}
        facts[OTHER_PROFILE] = {names.get(key, key): value for key, value in changed.items()}
    return facts


def _weapon(weapon: dict[str, Any], stats: dict[str, Any]) -> dict[str, Any]:
    return {
        "damage": weapon["damage"],
        "bonus": weapon["bonus"],
        "hits": weapon["hits"],
        "hit_interval": weapon.get("hit_interval", 0),
        "range": weapon["range"],
        "range_slop": weapon.get("range_slop", stats["globals"]["range_slop_default"]),
        "period": weapon["period"],
        "damage_point": weapon["damage_point"],
        "missile_speed": weapon.get("missile_speed"),
        "targets": weapon["targets"],
    }


def facts(smac: dict[str, Any], stats: dict[str, Any], cliffs: dict[str, Any]) -> dict[str, Any]:
    """Return all that backends read: maps, and the terrains, cliff levels and units that they name.

    A row of `cliffs` has a base-36 digit a cell, an eighth of its level; rows and columns are those of `terrains`.
    """
    maps = {name: map_facts(name, one, cliffs["maps"][name]) for name, one in smac["maps"].items()}
    units = {spawn["unit"] for one in maps.values() for spawn in one["allies"] + one["enemies"]}
    return {
        "maps": maps,
        "terrains": {name: terrain["rows_y0_first"] for name, terrain in smac["terrains"].items()},
        "cliffs": cliffs["grids"],
        "units": {name: unit_facts(name, stats) for name in sorted(units)},
    }


def main() -> None:
    """Read the three notes and print the facts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="sizes, spawns, orders and terrain of SMAC's maps")
    parser.add_argument("stats", type=Path, help="numbers of the units")
    parser.add_argument("cliffs", type=Path, help="cliff levels of the maps")
    arguments = parser.parse_args()
    smac, stats, cliffs = (json.loads(path.read_text()) for path in (arguments.maps, arguments.stats, arguments.cliffs))
    print(json.dumps(facts(smac, stats, cliffs), indent=1))


if __name__ == "__main__":
    main()
