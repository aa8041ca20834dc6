"""What a seat sees."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import Unit, Units
from envproxy.backends.skirmish.rules.actions import NORTH, faces, is_target
from envproxy.maps import FIRST_TARGET, N_AROUND
from operations.compiled import part

# The points around a unit at which the pathing grid and the terrain's height are shown, in move amounts.
AROUND_X: Final = np.array([0.0, 0.0, 2.0, -2.0, 1.0, -1.0, 1.0, -1.0])
AROUND_Y: Final = np.array([2.0, -2.0, 0.0, 0.0, 1.0, -1.0, -1.0, 1.0])


@part
def write_observation(
    obs: NDArray[np.float32], available: NDArray[np.bool_], seat: int, units: Units, facts: MapFacts
) -> None:
    """Fill `obs` [obs_size], which is all zeros, for a seat whose `available` [n_actions] is known."""
    unit = units[seat]
    if unit.health <= 0.0:
        return
    at = _write_ground(obs, available, unit, facts)
    at = _write_enemies(obs, at, available, seat, units, facts)
    at = _write_allies(obs, at, seat, units, facts)
    kind = facts.kinds[unit.kind]
    if facts.rules[0].obs_own_health:
        obs[at] = unit.health / kind.health
        at += 1
        if facts.ally_shields:
            obs[at] = unit.shield / kind.shield
            at += 1
    if facts.rules[0].own_pos:
        height, width = facts.pathable.shape
        obs[at] = unit.x / width
        obs[at + 1] = unit.y / height
        at += 2
    if len(facts.looks) > 0:
        obs[at] = facts.looks[unit.look, 0]
        obs[at + 1] = facts.looks[unit.look, 1]
        at += 2
    if facts.type_bits > 0:
        obs[at + kind.type_column] = 1.0


@part
def sees(unit: Unit, other: Unit, facts: MapFacts) -> bool:
    """Tell whether a living unit sees another: it is alive, nearer than the sight, and in the cone if there are cones.

    With cones SMACv2 counts also what is exactly as far as the sight.
    """
    dx = other.x - unit.x
    dy = other.y - unit.y
    square = dx * dx + dy * dy
    sight = facts.kinds[unit.kind].sight
    near = square < sight * sight if len(facts.looks) == 0 else square <= sight * sight
    return bool(other.health > 0.0 and near and faces(unit, dx, dy, facts))


@part
def is_shown(enemy: Unit, seat: int, facts: MapFacts) -> bool:
    """Tell whether a seat may see an enemy when it is in sight: see `rules.sharing`."""
    return bool(facts.rules[0].prob_obs_enemy >= 1.0 or (enemy.shown_to >> seat) & 1)


@part
def _write_ground(obs: NDArray[np.float32], available: NDArray[np.bool_], unit: Unit, facts: MapFacts) -> int:
    """Fill the block of moves; return where it ends."""
    at = 0
    for action in range(NORTH, FIRST_TARGET):
        obs[at] = available[action]
        at += 1
    if facts.rules[0].obs_pathing_grid:
        _write_pathing(obs[at : at + N_AROUND], unit, facts)
        at += N_AROUND
    if facts.rules[0].obs_terrain_height:
        _write_heights(obs[at : at + N_AROUND + 1], unit, facts)
        at += N_AROUND + 1
    return at


@part
def _write_enemies(
    obs: NDArray[np.float32], at: int, available: NDArray[np.bool_], seat: int, units: Units, facts: MapFacts
) -> int:
    """Fill the block of enemies, which begins at `at`; return where it ends."""
    shields = facts.enemy_shields and facts.rules[0].obs_all_health
    width = 4 + facts.rules[0].obs_all_health + shields + facts.type_bits
    masked = facts.rules[0].action_mask
    for u in range(facts.n_agents, len(units)):
        if is_shown(units[u], seat, facts) and sees(units[seat], units[u], facts):
            # The action of this number, whatever it does: a Medivac is told whether it can heal the ally of the number.
            number = u - facts.n_agents
            obs[at] = available[facts.first_target + number] if masked else is_target(units, seat, number, facts, False)
            _write_other(obs[at : at + width], units[seat], u, units, facts, shields)
        at += width
    return at


@part
def _write_allies(obs: NDArray[np.float32], at: int, seat: int, units: Units, facts: MapFacts) -> int:
    """Fill the block of the other allies, which begins at `at`; return where it ends."""
    shields = facts.ally_shields and facts.rules[0].obs_all_health
    width = 4 + facts.rules[0].obs_all_health + shields + facts.type_bits
    actions = facts.n_actions if facts.rules[0].obs_last_action else 0
    for u in range(facts.n_agents):
        if u == seat:
            continue
        if sees(units[seat], units[u], facts):
            obs[at] = 1.0
            _write_other(obs[at : at + width], units[seat], u, units, facts, shields)
            if actions > 0 and units[u].last_action >= 0:
                obs[at + width + units[u].last_action] = 1.0
        at += width + actions
    return at


@part
def _write_other(row: NDArray[np.float32], unit: Unit, u: int, units: Units, facts: MapFacts, shields: bool) -> None:
    """Fill the row of unit `u` but for its first column."""
    other = units[u]
    kind = facts.kinds[other.kind]
    dx = other.x - unit.x
    dy = other.y - unit.y
    sight = facts.kinds[unit.kind].sight
    row[1] = math.sqrt(dx * dx + dy * dy) / sight
    row[2] = dx / sight
    row[3] = dy / sight
    at = 4
    if facts.rules[0].obs_all_health:
        row[4] = other.health / kind.health
        at = 5
        if shields:
            row[5] = other.shield / kind.shield
            at = 6
    if facts.type_bits > 0:
        row[at + kind.type_column] = 1.0


@part
def _write_pathing(row: NDArray[np.float32], unit: Unit, facts: MapFacts) -> None:
    """Fill `row` [N_AROUND]: can the points around the unit be walked on. Outside the map SMAC says yes."""
    height, width = facts.pathable.shape
    for k in range(N_AROUND):
        x = math.floor(unit.x) + AROUND_X[k] * facts.rules[0].move_amount
        y = math.floor(unit.y) + AROUND_Y[k] * facts.rules[0].move_amount
        inside = 0.0 <= x < width and 0.0 <= y < height
        row[k] = facts.pathable[int(y), int(x)] if inside else 1.0


@part
def _write_heights(row: NDArray[np.float32], unit: Unit, facts: MapFacts) -> None:
    """Fill `row` [N_AROUND + 1]: the terrain's height at the points around the unit and at its own; outside 1.

    SMAC turns the height map over along y and the game's pathing grid not: the height that a unit is shown is that of
    the point mirrored in the map's middle.
    """
    height, width = facts.heights.shape
    for k in range(N_AROUND + 1):
        x = math.floor(unit.x) + (AROUND_X[k] * facts.rules[0].move_amount if k < N_AROUND else 0.0)
        y = math.floor(unit.y) + (AROUND_Y[k] * facts.rules[0].move_amount if k < N_AROUND else 0.0)
        inside = 0.0 <= x < width and 0.0 <= y < height
        row[k] = facts.heights[height - 1 - int(y), int(x)] / 255.0 if inside else 1.0
