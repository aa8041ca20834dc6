"""SMACv2's 15 scenarios: teams and places are drawn for every battle. Three races and five sizes."""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

from envproxy.maps.battle_map import BattleMap, DrawnTeams
from envproxy.maps.data import facts

EPISODE_LIMIT: Final = 200  # steps, of every scenario
_LIKE: Final = "3s_vs_5z"  # the map of SMAC whose ground it has: flat, and all of it can be walked on


class _Race(NamedTuple):
    shares: dict[str, float]  # in the order of the type columns
    never_alone: frozenset[str]
    shields: bool
    heals: bool


_RACES: Final = {
    "protoss": _Race({"Stalker": 0.45, "Zealot": 0.45, "Colossus": 0.1}, frozenset(), shields=True, heals=False),
    "terran": _Race(
        {"Marine": 0.45, "Marauder": 0.45, "Medivac": 0.1}, frozenset({"Medivac"}), shields=False, heals=True
    ),
    "zerg": _Race(
        {"Zergling": 0.45, "Hydralisk": 0.45, "Baneling": 0.1}, frozenset({"Baneling"}), shields=False, heals=False
    ),
}
_SIZES: Final = ((5, 5), (10, 10), (20, 20), (10, 11), (20, 23))  # agents, enemies

# Sight and attack range by unit, between centres: what SMACv2 computes with, not what the weapons have.
SIGHTS: Final = {
    "Marine": 9.0,
    "Marauder": 10.0,
    "Medivac": 11.0,
    "Stalker": 10.0,
    "Zealot": 9.0,
    "Colossus": 10.0,
    "Zergling": 8.0,
    "Hydralisk": 9.0,
    "Baneling": 8.0,
}
REACHES: Final = {
    "Marine": 5.0,
    "Marauder": 6.0,
    "Medivac": 4.0,
    "Stalker": 6.0,
    "Zealot": 0.1,
    "Colossus": 7.0,
    "Zergling": 0.1,
    "Hydralisk": 5.0,
    "Baneling": 0.25,
}


def names() -> list[str]:
    """Return the names of the scenarios: the race, the agents, the enemies."""
    return [f"{race}_{agents}_vs_{enemies}" for race in _RACES for agents, enemies in _SIZES]


@functools.cache
def battle_map(name: str) -> BattleMap:
    """Return a scenario of `names()`."""
    race_name, agents, _, enemies = name.split("_")
    race = _RACES[race_name]
    types, columns = tuple(sorted(race.shares)), tuple(race.shares)
    ground = facts()["maps"][_LIKE]
    return BattleMap(
        name=name,
        n_agents=int(agents),
        n_enemies=int(enemies),
        episode_limit=EPISODE_LIMIT,
        teams=DrawnTeams(race.shares, race.never_alone),
        ally_types=types,
        enemy_types=types,
        ally_columns=columns,
        enemy_columns=columns,
        ally_shields=race.shields,
        enemy_shields=race.shields,
        heals=race.heals,
        enemy_order="attack_nearest_unit",
        order_points=(),
        terrain=ground["terrain"],
        cliffs=ground["cliffs"],
        base_height=ground["base_height"],
        unit_ranges=True,
        own_pos=True,
        pays_recovery=False,
    )
