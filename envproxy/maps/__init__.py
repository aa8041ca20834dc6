"""SMAC's 23 maps as data: what every backend needs to know of them. Loads no simulator and no game.

`facts.json` beside this file holds the maps, and the units and grids that they name; `generate.py` writes it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from envproxy.backend import MapSpec
from envproxy.rules import Rules

N_MOVES: Final = 4
FIRST_TARGET: Final = 2 + N_MOVES  # actions: no-op, stop, the moves, then one per target
N_AROUND: Final = 8  # points around a unit at which the pathing grid and the terrain's height are shown


@dataclass(frozen=True)
class SmacMap:
    """What the sizes of a map follow from."""

    n_agents: int
    n_enemies: int
    episode_limit: int
    type_bits: int
    ally_shields: bool
    enemy_shields: bool
    heals: bool  # the map's Medivacs have heal actions, and they do not count at the end: SMAC's map type MMM

    @property
    def n_actions(self) -> int:
        """No-op, stop, the moves and one action per target."""
        return FIRST_TARGET + self.n_enemies


@functools.cache
def facts() -> dict[str, Any]:
    """Return the data file: `maps`, `terrains`, `cliffs` and `units`, each by name. It is shared: do not change it."""
    data: dict[str, Any] = json.loads((resources.files(__package__) / "facts.json").read_text())
    return data


def map_names() -> list[str]:
    """Return the names of the maps in the data file, in its order."""
    return list(facts()["maps"])


@functools.cache
def smac_map(name: str) -> SmacMap:
    """Return a map of `map_names()`."""
    one = facts()["maps"][name]
    return SmacMap(
        n_agents=sum(spawn["count"] for spawn in one["allies"]),
        n_enemies=sum(spawn["count"] for spawn in one["enemies"]),
        episode_limit=one["episode_limit"],
        type_bits=len(one["type_columns"]["allies"]),
        ally_shields=one["ally_shields"],
        enemy_shields=one["enemy_shields"],
        heals=one["heals"],
    )


def ally_units(name: str) -> list[str]:
    """Return the name of each seat's unit: SMAC sorts allies by type, and the types ascend with their names."""
    return sorted(spawn["unit"] for spawn in facts()["maps"][name]["allies"] for _ in range(spawn["count"]))


def map_spec(name: str, rules: Rules) -> MapSpec:
    """Return the sizes of a map of `map_names()` that is played under `rules`. Raises RulesError if these are none."""
    rules = Rules.require(rules)
    sizes = smac_map(name)
    return MapSpec(
        name=name,
        n_agents=sizes.n_agents,
        n_actions=sizes.n_actions,
        obs_size=_obs_size(sizes, rules),
        state_size=_state_size(sizes, rules),
        episode_limit=sizes.episode_limit,
    )


def _obs_size(sizes: SmacMap, rules: Rules) -> int:
    """Return how many numbers a seat sees: moves, enemies, other allies, the unit itself."""
    moves = N_MOVES + (N_AROUND if rules.obs_pathing_grid else 0) + (N_AROUND + 1 if rules.obs_terrain_height else 0)
    enemy = 4 + sizes.type_bits + (1 + sizes.enemy_shields if rules.obs_all_health else 0)
    ally = 4 + sizes.type_bits + (1 + sizes.ally_shields if rules.obs_all_health else 0)
    ally += sizes.n_actions if rules.obs_last_action else 0
    own = sizes.type_bits + (1 + sizes.ally_shields if rules.obs_own_health else 0)
    return moves + sizes.n_enemies * enemy + (sizes.n_agents - 1) * ally + own


def _state_size(sizes: SmacMap, rules: Rules) -> int:
    """Return how many numbers the state has: allies, enemies, last actions, time; or all observations."""
    if rules.obs_instead_of_state:
        return sizes.n_agents * _obs_size(sizes, rules)
    ally = 4 + sizes.ally_shields + sizes.type_bits + (sizes.n_actions if rules.state_last_action else 0)
    enemy = 3 + sizes.enemy_shields + sizes.type_bits
    return sizes.n_agents * ally + sizes.n_enemies * enemy + rules.state_timestep_number
