"""What a seat sees (spec section 7)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.maps import FIRST_TARGET, MapFacts
from envproxy.backends.skirmish.records import Unit, Units
from envproxy.backends.skirmish.rules.actions import NORTH

SIGHT: Final = 9.0  # of every unit, between centres


@part
def write_observation(
    obs: NDArray[np.float32], available: NDArray[np.bool_], seat: int, units: Units, facts: MapFacts
) -> None:
    """Fill `obs` [obs_size], which is all zeros, for a seat whose `available` [n_actions] is known."""
    unit = units[seat]
    if unit.health <= 0.0:
        return
    at = 0
    for action in range(NORTH, FIRST_TARGET):
        obs[at] = available[action]
        at += 1
    for u in range(facts.n_agents, len(units)):
        width = 5 + facts.enemy_shields + facts.type_bits
        if sees(unit, units[u]):
            obs[at] = available[FIRST_TARGET + u - facts.n_agents]
            _write_other(obs[at : at + width], unit, u, units, facts, facts.enemy_shields)
        at += width
    for u in range(facts.n_agents):
        if u == seat:
            continue
        width = 5 + facts.ally_shields + facts.type_bits
        if sees(unit, units[u]):
            obs[at] = 1.0
            _write_other(obs[at : at + width], unit, u, units, facts, facts.ally_shields)
        at += width
    kind = facts.kinds[unit.kind]
    obs[at] = unit.health / kind.health
    at += 1
    if facts.ally_shields:
        obs[at] = unit.shield / kind.shield
        at += 1
    if facts.type_bits > 0:
        obs[at + facts.roster[seat].type_column] = 1.0


@part
def sees(unit: Unit, other: Unit) -> bool:
    """Tell whether a living unit sees another: it is alive and nearer than the sight."""
    dx = other.x - unit.x
    dy = other.y - unit.y
    return bool(other.health > 0.0 and dx * dx + dy * dy < SIGHT * SIGHT)


@part
def _write_other(row: NDArray[np.float32], unit: Unit, u: int, units: Units, facts: MapFacts, shields: bool) -> None:
    """Fill the row of unit `u` but for its first column."""
    other = units[u]
    kind = facts.kinds[other.kind]
    dx = other.x - unit.x
    dy = other.y - unit.y
    row[1] = math.sqrt(dx * dx + dy * dy) / SIGHT
    row[2] = dx / SIGHT
    row[3] = dy / SIGHT
    row[4] = other.health / kind.health
    if shields:
        row[5] = other.shield / kind.shield
    if facts.type_bits > 0:
        row[5 + shields + facts.roster[u].type_column] = 1.0
