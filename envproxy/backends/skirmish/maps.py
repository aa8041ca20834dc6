"""Maps and units: `data/facts.json` made into the arrays that compiled code reads."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import MapSpec
from envproxy.backends.skirmish.records import KIND, ROSTER

LOOPS_PER_SECOND: Final = 16
MIN_SCAN_RANGE: Final = 5.0
SCAN_BEYOND_RANGE: Final = 0.5
REWARD_DEATH: Final = 10.0  # spec section 5
REWARD_WIN: Final = 200.0
REWARD_SCALE: Final = 20.0
FIRST_TARGET: Final = 6  # actions: no-op, stop, four moves, then one per target


class MapFacts(NamedTuple):
    """All that is the same in every battle of a map. U = n_agents + n_enemies units, K kinds of unit."""

    n_agents: int
    n_enemies: int
    n_actions: int
    episode_limit: int
    type_bits: int
    ally_shields: bool  # spec section 2: sA and sE
    enemy_shields: bool
    reward_divisor: float
    attack_x: float  # where the enemy's units were sent
    attack_y: float
    pathable: NDArray[np.bool_]  # [map height, map width], row 0 in the south
    kinds: NDArray[np.void]  # KIND [K]
    damage: NDArray[np.float64]  # [K, K], one hit of a row's weapon with its bonus against a column
    roster: NDArray[np.void]  # ROSTER [U], allies then enemies


def map_names() -> list[str]:
    """Return the names of the maps in the data file, in its order."""
    return list(_data()["maps"])


def map_facts(name: str) -> MapFacts:
    """Return the arrays of a map."""
    data = _data()
    one = data["maps"][name]
    kind_names = sorted({spawn["unit"] for spawn in one["allies"] + one["enemies"]})
    units = [data["units"][kind] for kind in kind_names]
    # SMAC sorts allies by type, and the types' ids ascend with their names; the enemy stays in creation order.
    allies = sorted(_army(one["allies"]), key=lambda member: str(member["unit"]))
    enemies = _army(one["enemies"])
    army = [(member, one["type_columns"]["allies"]) for member in allies]
    army += [(member, one["type_columns"]["enemies"]) for member in enemies]
    roster = np.zeros(len(army), ROSTER)
    for row, (member, columns) in zip(roster, army, strict=True):
        row["kind"] = kind_names.index(member["unit"])
        row["spawn_x"], row["spawn_y"] = member["point"]
        row["place"] = member["place"]
        row["spacing"] = 2 * max(unit["separation_radius"] for unit in units)
        row["type_column"] = columns.index(member["unit"]) if columns else 0
    enemy_hp = sum(data["units"][member["unit"]][pool] for member in enemies for pool in ("health", "shield"))
    return MapFacts(
        n_agents=len(allies),
        n_enemies=len(enemies),
        n_actions=FIRST_TARGET + len(enemies),
        episode_limit=one["episode_limit"],
        type_bits=len(one["type_columns"]["allies"]),
        ally_shields=one["ally_shields"],
        enemy_shields=one["enemy_shields"],
        reward_divisor=(len(enemies) * REWARD_DEATH + REWARD_WIN + enemy_hp) / REWARD_SCALE,
        attack_x=float(one["enemy_attack_point"][0]),
        attack_y=float(one["enemy_attack_point"][1]),
        pathable=np.array([[cell == "." for cell in row] for row in data["terrains"][one["terrain"]]]),
        kinds=np.array([_kind(unit) for unit in units], KIND),
        damage=np.array([[_hit(unit["weapon"], other) for other in units] for unit in units], np.float64),
        roster=roster,
    )


def map_spec(name: str, facts: MapFacts) -> MapSpec:
    """Return a map's sizes after spec sections 7 and 8."""
    ally = facts.ally_shields + facts.type_bits
    enemy = facts.enemy_shields + facts.type_bits
    agents, enemies = facts.n_agents, facts.n_enemies
    return MapSpec(
        name=name,
        n_agents=agents,
        n_actions=facts.n_actions,
        obs_size=4 + enemies * (5 + enemy) + (agents - 1) * (5 + ally) + 1 + ally,
        state_size=agents * (4 + ally) + enemies * (3 + enemy) + agents * facts.n_actions,
        episode_limit=facts.episode_limit,
    )


@functools.cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((resources.files(__package__) / "data" / "facts.json").read_text())
    return data


def _army(spawns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry per unit in the order of creation, numbered among those created at its point."""
    army: list[dict[str, Any]] = []
    for spawn in spawns:
        for _ in range(spawn["count"]):
            place = sum(member["point"] == spawn["point"] for member in army)
            army.append({"unit": spawn["unit"], "point": spawn["point"], "place": place})
    return army


def _kind(unit: dict[str, Any]) -> tuple[float, ...]:
    """Return a KIND record's values, in its order: the data's seconds become loops."""
    weapon = unit["weapon"]
    return (
        unit["health"],
        unit["shield"],
        unit["armour"],
        unit["speed"] / LOOPS_PER_SECOND,
        unit["radius"],
        unit["separation_radius"],
        weapon["range"],
        max(MIN_SCAN_RANGE, weapon["range"] + SCAN_BEYOND_RANGE),
        weapon["period"] * LOOPS_PER_SECOND,
        weapon["damage_point"] * LOOPS_PER_SECOND,
        weapon["hits"],
        weapon["hit_interval"] * LOOPS_PER_SECOND,
        (weapon["missile_speed"] or 0.0) / LOOPS_PER_SECOND,
        unit["max_cooldown"],
    )


def _hit(weapon: dict[str, Any], target: dict[str, Any]) -> float:
    bonus = sum(extra for attribute, extra in weapon["bonus"].items() if attribute in target["attributes"])
    return float(weapon["damage"] + bonus)
