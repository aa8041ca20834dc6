"""Maps and units: the records of `envproxy.maps` made into the arrays that compiled code reads."""

from __future__ import annotations

import functools
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envproxy import maps
from envproxy.backends.skirmish.paths import Ways, find_ways, islands
from envproxy.backends.skirmish.records import (
    AIR,
    GROUND,
    KIND,
    LAYERS,
    NOWHERE,
    ROSTER,
    STRIDING,
    TO_A_POINT,
    TO_A_SEGMENT,
    TO_THE_ALLIES,
    TO_THE_NEAREST,
)
from envproxy.backends.skirmish.rules.options import step_rules
from envproxy.maps import BattleMap, DrawnTeams, FixedTeams, Point, Spawn, kind_names, smacv2
from envproxy.rules import Rules

__all__ = ["FIRST_TARGET", "LOOPS_PER_SECOND", "MapFacts", "kind_names", "map_facts", "terrain_height"]

LOOPS_PER_SECOND: Final = 16
SIGHT: Final = 9.0  # of every unit where ranges do not go by the type
REACH: Final = 6.0
MIN_SCAN_RANGE: Final = 5.0
SCAN_BEYOND_RANGE: Final = 0.5
_NO_WEAPON: Final = dict.fromkeys(
    ("range", "range_slop", "period", "damage_point", "hits", "hit_interval", "missile_speed"), 0.0
)
_NO_SPLASH: Final = {"half_length": 0.0, "radius": 0.0}
_NO_ENERGY: Final = dict.fromkeys(("start", "max", "regen"), 0.0)
_NO_HEAL: Final = dict.fromkeys(("range", "scan_range", "rate", "energy_per_health", "least_energy"), 0.0)
_LAYERS_OF: Final = {"ground": GROUND, "air": AIR, "ground+air target": STRIDING}
_ORDERS: Final = {
    "attack_point": TO_A_POINT,
    "attack_random_point_on_segment": TO_A_SEGMENT,
    "attack_unit_group_of_both_colossi": TO_THE_ALLIES,
    "none": NOWHERE,
    "attack_nearest_unit": TO_THE_NEAREST,
}
FIRST_TARGET: Final = maps.FIRST_TARGET


class MapFacts(NamedTuple):
    """All that is the same in every battle of a map. U = n_agents + n_enemies units, K kinds of unit."""

    n_agents: int
    n_enemies: int
    n_actions: int
    episode_limit: int
    type_bits: int
    ally_shields: bool
    enemy_shields: bool
    heals: bool  # the map's Medivacs have heal actions, and they do not count at the end
    pays_recovery: bool  # a step in which the enemy recovers more than it loses pays the absolute value, else nothing
    first_target: int  # the action on target 0
    looks: NDArray[np.float64]  # [L, 2], unit vectors of the look actions; [0, 2]: everyone sees in all directions
    cone: float  # cosine of half the opening of a cone of sight
    rules: NDArray[np.void]  # STEP_RULES [1]
    reward_divisor: float  # 1 where rewards are not scaled
    enemy_order: int
    attack_x: float  # where the enemy's units were sent: a point, or one end of a segment
    attack_y: float
    attack_to_x: float  # the segment's other end
    attack_to_y: float
    pathable: NDArray[np.bool_]  # [map height, map width], row 0 in the south
    heights: NDArray[np.uint8]  # [map height, map width], of the terrain, row 0 in the south: see `terrain_height`
    walkable: NDArray[np.bool_]  # [LAYERS, map height, map width]
    ways: NDArray[np.uint8]  # [cells, cells] or [0, 0], see `paths.Ways`
    corners: NDArray[np.float64]  # [C, 2]
    widest: float  # largest separation radius
    kinds: NDArray[np.void]  # KIND [K], the allies' and then the enemy's
    n_ally_kinds: int
    damage: NDArray[np.float64]  # [K, K], one hit of a row's weapon with its bonus against a column; 0: cannot hit it
    teams_are_drawn: bool  # for each battle; then both sides have the same types
    roster: NDArray[np.void]  # ROSTER [U], allies then enemies; of drawn teams no more than the spacing


def map_facts(name: str, rules: Rules) -> MapFacts:
    """Return the arrays of a map that is played under `rules`."""
    weapons, one = rules.weapons, maps.battle_map(name)
    units = [_ally_unit(kind, weapons) for kind in one.ally_types] + [_unit(kind, weapons) for kind in one.enemy_types]
    spacings = _spacing(units[: len(one.ally_types)]), _spacing(units[len(one.ally_types) :])
    kinds = _kinds(one, rules, units)
    roster = _roster(one, spacings)
    pathable = _pathable(one.terrain)
    ways = _ways(one.terrain, _standing_ground(one, pathable))
    points = one.order_points or ((0.0, 0.0),)
    looks = _looks(rules.looks)
    return MapFacts(
        n_agents=one.n_agents,
        n_enemies=one.n_enemies,
        n_actions=maps.map_spec(name, rules).n_actions,
        episode_limit=one.episode_limit,
        type_bits=one.type_bits,
        ally_shields=one.ally_shields,
        enemy_shields=one.enemy_shields,
        heals=one.heals,
        pays_recovery=one.pays_recovery,
        first_target=maps.first_target(rules),
        looks=looks,
        cone=float(np.cos(np.pi / max(1, len(looks)))),
        rules=step_rules(rules, own_pos=maps.shows_own_pos(one, rules)),
        reward_divisor=_reward_divisor(rules, one.n_enemies, _enemy_hp(one, kinds, roster)),
        enemy_order=_ORDERS[one.enemy_order],
        attack_x=float(points[0][0]),
        attack_y=float(points[0][1]),
        attack_to_x=float(points[-1][0]),
        attack_to_y=float(points[-1][1]),
        pathable=pathable,
        heights=_heights(one.cliffs, one.base_height),
        walkable=_walkable(pathable),
        ways=ways.first,
        corners=ways.corners,
        widest=max(unit["separation_radius"] for unit in units),
        kinds=kinds,
        n_ally_kinds=len(one.ally_types),
        damage=np.array([[_hit(unit["weapon"], other) for other in units] for unit in units], np.float64),
        teams_are_drawn=isinstance(one.teams, DrawnTeams),
        roster=roster,
    )


def terrain_height(level: int, base_height: float) -> int:
    """Return the 8-bit terrain height of a cell of a cliff level, 0, 64 or more, as StarCraft II's API tells it.

    Level 64 is 8 units high and every 64 more are 2 more; level 0 is `base_height` high, which differs between maps.
    Of the API's bytes 0 is -16 units and 255 is 16. docs/skirmish.md names the sources.
    """
    height = 6 + 2 * level / 64 if level > 0 else base_height
    return int((height + 16) / 32 * 255)


def _reward_divisor(rules: Rules, n_enemies: int, enemy_hp: float) -> float:
    """Return what makes a battle in which every enemy falls worth `reward_scale_rate`."""
    if not rules.reward_scale:
        return 1.0
    return float((n_enemies * rules.reward_death_value + rules.reward_win + enemy_hp) / rules.reward_scale_rate)


def _enemy_hp(one: BattleMap, kinds: NDArray[np.void], roster: NDArray[np.void]) -> float:
    """Return health and shield of all enemies together; of drawn teams the mean over all draws of a unit.

    So the same play is paid the same in every battle. No team consists of some kinds alone, which the mean ignores.
    """
    hp = kinds["health"] + kinds["shield"]
    if isinstance(one.teams, DrawnTeams):
        enemies = slice(len(one.ally_types), None)
        return float(one.n_enemies * (kinds["share"][enemies] * hp[enemies]).sum())
    return float(hp[roster["kind"][one.n_agents :]].sum())


def _standing_ground(one: BattleMap, pathable: NDArray[np.bool_]) -> Point:
    """Return a point that units can reach: ways are looked for among the cells that are joined to it."""
    if isinstance(one.teams, FixedTeams):
        return one.teams.allies[0].point
    height, width = pathable.shape
    return width / 2, height / 2


def _looks(count: int) -> NDArray[np.float64]:
    """Return [count, 2]: directions at equal angles, counter-clockwise from the east."""
    angles = 2.0 * np.pi * np.arange(count) / max(1, count)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _roster(one: BattleMap, spacings: tuple[float, float]) -> NDArray[np.void]:
    """Return the units of both sides, allies in the order of their types."""
    roster = np.zeros(one.n_agents + one.n_enemies, ROSTER)
    roster["spacing"][: one.n_agents], roster["spacing"][one.n_agents :] = spacings
    if isinstance(one.teams, FixedTeams):
        roster["kind"] = maps.fixed_kinds(one, one.teams)
        allies = sorted(_army(one.teams.allies), key=lambda member: member[0])
        for row, (_, point, place) in zip(roster, allies + _army(one.teams.enemies), strict=True):
            row["spawn_x"], row["spawn_y"] = point
            row["place"] = place
    return roster


def _army(spawns: tuple[Spawn, ...]) -> list[tuple[str, Point, int]]:
    """Return unit, point, and number among those created at the point, of each unit in the order of creation."""
    army: list[tuple[str, Point, int]] = []
    for spawn in spawns:
        for _ in range(spawn.count):
            army.append((spawn.unit, spawn.point, sum(point == spawn.point for _, point, _ in army)))
    return army


def _pathable(terrain: str) -> NDArray[np.bool_]:
    """Return where units can walk: [map height, map width], row 0 in the south."""
    return np.array([[cell == "." for cell in row] for row in maps.facts()["terrains"][terrain]])


def _heights(cliffs: str, base_height: float) -> NDArray[np.uint8]:
    """Return the terrain's heights: [map height, map width], row 0 in the south."""
    rows = maps.facts()["cliffs"][cliffs]
    return np.array([[terrain_height(8 * int(digit, 36), base_height) for digit in row] for row in rows], np.uint8)


def _walkable(pathable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where units of each layer can be: [LAYERS, map height, map width]."""
    walkable = np.ones((LAYERS, *pathable.shape), np.bool_)
    walkable[GROUND] = pathable
    walkable[STRIDING] = pathable | islands(pathable)
    return walkable


def _kinds(one: BattleMap, rules: Rules, units: list[dict[str, Any]]) -> NDArray[np.void]:
    """Return KIND [K] of the `units`, the allies' types and then the enemy's."""
    by_type = maps.uses_unit_ranges(one, rules)
    shares = one.teams.shares if isinstance(one.teams, DrawnTeams) else {}
    never_alone = one.teams.never_alone if isinstance(one.teams, DrawnTeams) else frozenset()
    columns = [(unit, one.ally_columns) for unit in one.ally_types]
    columns += [(unit, one.enemy_columns) for unit in one.enemy_types]
    kinds = []
    for (name, side), unit in zip(columns, units, strict=True):
        in_battle = {
            "sight": smacv2.SIGHTS.get(name, SIGHT) if by_type else SIGHT,
            "reach": max(smacv2.REACHES.get(name, REACH), rules.min_attack_range) if by_type else REACH,
            "type_column": side.index(name) if side else 0,
            "share": shares.get(name, 0.0),
            "never_alone": name in never_alone,
        }
        kinds.append(_kind(unit, in_battle))
    return np.array(kinds, KIND)


def _kind(unit: dict[str, Any], in_battle: dict[str, float]) -> tuple[float, ...]:
    """Return a KIND record's values, in its order: the data's seconds become loops, `in_battle` is as it is."""
    weapon: dict[str, Any] = unit["weapon"] or _NO_WEAPON
    energy = unit.get("energy", _NO_ENERGY)
    heal = unit.get("heal", _NO_HEAL)
    beam = weapon.get("beam", _NO_SPLASH)
    values = {
        "health": unit["health"],
        "shield": unit["shield"],
        "armour": unit["armour"],
        "regeneration": unit["regeneration"] / LOOPS_PER_SECOND,
        "biological": "Biological" in unit["attributes"],
        "speed": unit["speed"] / LOOPS_PER_SECOND,
        "acceleration": unit["acceleration"] / LOOPS_PER_SECOND**2,
        "layer": _LAYERS_OF[unit["plane"]],
        "radius": unit["radius"],
        "separation_radius": unit["separation_radius"],
        "core_radius": _core_radius(unit),
        "range": weapon["range"],
        "range_slop": weapon["range_slop"],
        "scan_range": max(MIN_SCAN_RANGE, weapon["range"] + SCAN_BEYOND_RANGE),
        "period": weapon["period"] * LOOPS_PER_SECOND,
        "damage_point": weapon["damage_point"] * LOOPS_PER_SECOND,
        "hits": weapon["hits"],
        "hit_interval": weapon["hit_interval"] * LOOPS_PER_SECOND,
        "missile_speed": (weapon["missile_speed"] or 0.0) / LOOPS_PER_SECOND,
        "beam": beam["half_length"],
        "beam_radius": beam["radius"],
        "burst": weapon.get("burst", _NO_SPLASH)["radius"],
        "energy": energy["start"],
        "max_energy": energy["max"],
        "energy_regeneration": energy["regen"] / LOOPS_PER_SECOND,
        "heal_range": heal["range"],
        "heal_scan_range": heal["scan_range"],
        "heal_rate": heal["rate"] / LOOPS_PER_SECOND,
        "heal_cost": heal["energy_per_health"],
        "heal_least_energy": heal["least_energy"],
        "max_cooldown": unit["max_cooldown"],
        **in_battle,
    }
    names = KIND.names or ()
    if wrong := set(names) ^ values.keys():
        raise ValueError(f"a kind of unit and its record differ in {', '.join(sorted(wrong))}")
    return tuple(values[name] for name in names)


def _core_radius(unit: dict[str, Any]) -> float:
    """Return the inner radius, as far as it is within the separation radius, but at least half of that."""
    separation = float(unit["separation_radius"])
    return min(separation, max(float(unit["inner_radius"]), separation / 2.0))


def _hit(weapon: dict[str, Any] | None, target: dict[str, Any]) -> float:
    if weapon is None or not any(plane in target["plane"] for plane in weapon["targets"]):
        return 0.0
    bonus = sum(extra for attribute, extra in weapon["bonus"].items() if attribute in target["attributes"])
    return float(weapon["damage"] + bonus)


def _spacing(units: list[dict[str, Any]]) -> float:
    """Return how far from each other the units of an army must be: those on the ground, if there are any."""
    on_ground = [unit for unit in units if unit["plane"] == "ground"]
    return 2.0 * max(float(unit["separation_radius"]) for unit in on_ground or units)


def _unit(name: str, weapons: str) -> dict[str, Any]:
    """Return a stock unit's numbers in a profile."""
    unit: dict[str, Any] = maps.facts()["units"][name]
    changed = unit.get(weapons, {})
    merged = {**unit, **changed}
    if "weapon" in changed:
        merged["weapon"] = {**unit["weapon"], **changed["weapon"]}
    return merged


def _ally_unit(name: str, weapons: str) -> dict[str, Any]:
    """Return the numbers of an ally: SMAC's maps carry them, all but the weapon, which is the stock unit's."""
    return {**maps.facts()["units"][name], "weapon": _unit(name, weapons)["weapon"]}


@functools.cache
def _ways(terrain: str, start: tuple[float, float]) -> Ways:
    return find_ways(_pathable(terrain), start)
