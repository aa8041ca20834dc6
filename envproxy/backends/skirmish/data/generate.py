"""Write `facts.json`, what the simulator knows about its maps and units, from the notes taken of SMAC.

    python generate.py MAPS_JSON STATS_JSON > facts.json

A map becomes playable by adding its name to MAPS, provided that the engine knows what its units can do.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

MAPS = ("3m", "8m", "2s3z", "10m_vs_11m")
PROFILE = "liberty"  # the only data set the maps declare as a dependency

# Columns of the type one-hot, spec section 7. The enemy's are reversed on purpose: SMAC's issue 33.
TYPE_COLUMNS = {
    "marines": {"allies": [], "enemies": []},
    "stalkers_and_zealots": {"allies": ["Stalker", "Zealot"], "enemies": ["Zealot", "Stalker"]},
}


def map_facts(smac_map: dict[str, Any]) -> dict[str, Any]:
    """Keep of a map what a battle is made of; sizes follow from it."""
    if smac_map["enemy_order"]["kind"] != "attack_point":
        raise ValueError(f"{smac_map['map_name']}: no rule for the order {smac_map['enemy_order']['kind']!r}")
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
        "type_columns": TYPE_COLUMNS[smac_map["map_type"]],
        "allies": army[1],
        "enemies": army[2],
        "enemy_attack_point": smac_map["enemy_order"]["points"][0],
        "terrain": smac_map["terrain"],
    }


def unit_facts(name: str, stats: dict[str, Any]) -> dict[str, Any]:
    """Return a unit's numbers, in seconds as the notes have them, with SMAC's cooldown divisor beside them."""
    unit = stats[PROFILE][name]
    weapon = unit["weapon"]
    return {
        "health": unit["hp"],
        "shield": unit["shield"],
        "armour": unit["armor"],
        "attributes": unit["attrs"],
        "speed": unit["speed"],
        "radius": unit["radius"],
        "separation_radius": unit["separation_radius"],
        "max_cooldown": stats["smac_max_cooldown"][name],
        "weapon": {
            "damage": weapon["damage"],
            "bonus": weapon["bonus"],
            "hits": weapon["hits"],
            "hit_interval": weapon.get("hit_interval", 0),
            "range": weapon["range"],
            "period": weapon["period"],
            "damage_point": weapon["damage_point"],
            "missile_speed": weapon["missile_speed"],
        },
    }


def facts(smac: dict[str, Any], stats: dict[str, Any]) -> dict[str, Any]:
    """Return all that the simulator reads: maps, the terrains and units that they name."""
    maps = {name: map_facts(smac["maps"][name]) for name in MAPS}
    units = {spawn["unit"] for one in maps.values() for spawn in one["allies"] + one["enemies"]}
    terrains = {one["terrain"] for one in maps.values()}
    return {
        "maps": maps,
        "terrains": {name: smac["terrains"][name]["rows_y0_first"] for name in sorted(terrains)},
        "units": {name: unit_facts(name, stats) for name in sorted(units)},
    }


def main() -> None:
    """Read the two notes and print the facts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="sizes, spawns, orders and terrain of SMAC's maps")
    parser.add_argument("stats", type=Path, help="numbers of the units")
    arguments = parser.parse_args()
    smac, stats = (json.loads(path.read_text()) for path in (arguments.maps, arguments.stats))
    print(json.dumps(facts(smac, stats), indent=1))


if __name__ == "__main__":
    main()
