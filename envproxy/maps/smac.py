"""SMAC's 23 maps: both teams and their places are the map's."""

from __future__ import annotations

import functools
from typing import Any

from envproxy.maps.battle_map import BattleMap, FixedTeams, Spawn
from envproxy.maps.data import facts


def names() -> list[str]:
    """Return the names of the maps, in the order of the data file."""
    return list(facts()["maps"])


@functools.cache
def battle_map(name: str) -> BattleMap:
    """Return a map of `names()`."""
    one = facts()["maps"][name]
    teams = FixedTeams(_spawns(one["allies"]), _spawns(one["enemies"]))
    columns, order = one["type_columns"], one["enemy_order"]
    return BattleMap(
        name=name,
        n_agents=sum(spawn.count for spawn in teams.allies),
        n_enemies=sum(spawn.count for spawn in teams.enemies),
        episode_limit=one["episode_limit"],
        teams=teams,
        ally_types=_types(teams.allies),
        enemy_types=_types(teams.enemies),
        ally_columns=tuple(columns["allies"]),
        enemy_columns=tuple(columns["enemies"]),
        ally_shields=one["ally_shields"],
        enemy_shields=one["enemy_shields"],
        heals=one["heals"],
        enemy_order=order["kind"],
        order_points=tuple((x, y) for x, y in order["points"]),
        terrain=one["terrain"],
        cliffs=one["cliffs"],
        base_height=one["base_height"],
        unit_ranges=False,
        own_pos=False,
        pays_recovery=True,
    )


def _spawns(entries: list[dict[str, Any]]) -> tuple[Spawn, ...]:
    return tuple(Spawn(entry["unit"], entry["count"], (entry["point"][0], entry["point"][1])) for entry in entries)


def _types(spawns: tuple[Spawn, ...]) -> tuple[str, ...]:
    return tuple(sorted({spawn.unit for spawn in spawns}))
