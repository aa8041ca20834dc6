"""SMAC's 23 maps and SMACv2's 15 scenarios: what every backend needs to know of them. Loads no simulator and no game.

Each family has a maker, which fills the same record: `smac` and `smacv2`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from envproxy.backend import MapSpec
from envproxy.maps import smac, smacv2
from envproxy.maps.battle_map import FIRST_TARGET, N_MOVES, BattleMap, DrawnTeams, FixedTeams, Point, Spawn
from envproxy.maps.data import facts
from envproxy.rules import Rules

__all__ = [
    "FIRST_TARGET",
    "N_AROUND",
    "N_MOVES",
    "BattleMap",
    "DrawnTeams",
    "FixedTeams",
    "Point",
    "Spawn",
    "battle_map",
    "facts",
    "first_target",
    "fixed_kinds",
    "kind_names",
    "map_names",
    "map_spec",
    "shows_own_pos",
    "uses_unit_ranges",
]

N_AROUND: Final = 8  # points around a unit at which the pathing grid and the terrain's height are shown

_FAMILIES: Final[tuple[tuple[Callable[[], list[str]], Callable[[str], BattleMap]], ...]] = (
    (smac.names, smac.battle_map),
    (smacv2.names, smacv2.battle_map),
)


def map_names() -> list[str]:
    """Return the names of the maps: SMAC's in the order of the data file, then SMACv2's scenarios."""
    return [name for names, _ in _FAMILIES for name in names()]


def battle_map(name: str) -> BattleMap:
    """Return a map of `map_names()`."""
    make = next(make for names, make in _FAMILIES if name in names())
    return make(name)


def kind_names(name: str) -> list[str]:
    """Return the units of a map's kinds: the allies' types and then the enemy's, each sorted."""
    one = battle_map(name)
    return [*one.ally_types, *one.enemy_types]


def fixed_kinds(one: BattleMap, teams: FixedTeams) -> list[int]:
    """Return the kind of each unit, an index into `kind_names`: allies in the order of their seats, then enemies.

    SMAC sorts allies by type, and the types' ids ascend with their names; the enemy stays in the order of creation.
    """
    allies = sorted(one.ally_types.index(spawn.unit) for spawn in teams.allies for _ in range(spawn.count))
    enemies = [one.enemy_types.index(spawn.unit) for spawn in teams.enemies for _ in range(spawn.count)]
    return [*allies, *(len(one.ally_types) + kind for kind in enemies)]


def uses_unit_ranges(one: BattleMap, rules: Rules) -> bool:
    """Whether sight and attack range go by the unit's type."""
    return one.unit_ranges if rules.use_unit_ranges == "map" else rules.use_unit_ranges == "true"


def shows_own_pos(one: BattleMap, rules: Rules) -> bool:
    """Whether a seat sees its own place on the map."""
    return one.own_pos if rules.obs_own_pos == "map" else rules.obs_own_pos == "true"


def first_target(rules: Rules) -> int:
    """Return the action that acts on target 0: after no-op, stop, the moves and the looks."""
    return FIRST_TARGET + rules.looks


def map_spec(name: str, rules: Rules) -> MapSpec:
    """Return the sizes of a map of `map_names()` that is played under `rules`. Raises RulesError if these are none."""
    rules = Rules.require(rules)
    one = battle_map(name)
    return MapSpec(
        name=name,
        n_agents=one.n_agents,
        n_actions=_n_actions(one, rules),
        obs_size=_obs_size(one, rules),
        state_size=_state_size(one, rules),
        episode_limit=one.episode_limit,
        unit_types=_unit_types(one),
    )


def _unit_types(one: BattleMap) -> tuple[str, ...]:
    """Return the unit of each seat; () where it is another one in every battle."""
    if not isinstance(one.teams, FixedTeams):
        return ()
    return tuple(one.ally_types[kind] for kind in fixed_kinds(one, one.teams)[: one.n_agents])


def _n_actions(one: BattleMap, rules: Rules) -> int:
    """Return how many actions a seat has: one per target at last. No map has more agents to heal than enemies."""
    return first_target(rules) + one.n_enemies


def _obs_size(one: BattleMap, rules: Rules) -> int:
    """Return how many numbers a seat sees: moves, enemies, other allies, the unit itself."""
    moves = N_MOVES + (N_AROUND if rules.obs_pathing_grid else 0) + (N_AROUND + 1 if rules.obs_terrain_height else 0)
    enemy = 4 + one.type_bits + (1 + one.enemy_shields if rules.obs_all_health else 0)
    ally = 4 + one.type_bits + (1 + one.ally_shields if rules.obs_all_health else 0)
    ally += _n_actions(one, rules) if rules.obs_last_action else 0
    own = one.type_bits + (1 + one.ally_shields if rules.obs_own_health else 0)
    own += (2 if shows_own_pos(one, rules) else 0) + (2 if rules.conic_fov else 0)
    return moves + one.n_enemies * enemy + (one.n_agents - 1) * ally + own


def _state_size(one: BattleMap, rules: Rules) -> int:
    """Return how many numbers the state has: allies, enemies, last actions, time; or all observations."""
    if rules.obs_instead_of_state:
        return one.n_agents * _obs_size(one, rules)
    ally = 4 + one.ally_shields + one.type_bits + (2 if rules.conic_fov else 0)
    ally += _n_actions(one, rules) if rules.state_last_action else 0
    enemy = 3 + one.enemy_shields + one.type_bits
    return one.n_agents * ally + one.n_enemies * enemy + rules.state_timestep_number
