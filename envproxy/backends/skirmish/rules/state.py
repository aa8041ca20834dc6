"""The global state."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import Progress, Unit, Units
from envproxy.backends.skirmish.rules.actions import is_medivac
from operations.compiled import part

MAX_ENERGY: Final = 200.0


@part
def write_state(
    state: NDArray[np.float32], obs: NDArray[np.float32], units: Units, progress: Progress, facts: MapFacts
) -> None:
    """Fill `state` [state_size], which is all zeros: allies, enemies, last actions, time; or `obs` [N, obs_size]."""
    if facts.rules[0].obs_instead_of_state:
        for seat in range(facts.n_agents):
            for i in range(obs.shape[1]):
                state[seat * obs.shape[1] + i] = obs[seat, i]
        return
    at = 0
    for u in range(len(units)):
        at = _write_unit(state, at, u, units, facts)
    if facts.rules[0].state_last_action:
        for seat in range(facts.n_agents):
            if units[seat].last_action >= 0:
                state[at + units[seat].last_action] = 1.0
            at += facts.n_actions
    if facts.rules[0].state_timestep_number:
        state[at] = progress.steps / facts.episode_limit


@part
def _write_unit(state: NDArray[np.float32], at: int, u: int, units: Units, facts: MapFacts) -> int:
    """Fill the row of unit `u`, which begins at `at`, unless it is dead; return where it ends."""
    unit = units[u]
    kind = facts.kinds[unit.kind]
    height, width = facts.pathable.shape
    is_ally = u < facts.n_agents
    has_shield = facts.ally_shields if is_ally else facts.enemy_shields
    has_look = is_ally and len(facts.looks) > 0
    place = at + 1 + is_ally  # an ally has its cooldown before its place
    types = place + 2 + has_shield + 2 * has_look
    if unit.health > 0.0:
        state[at] = unit.health / kind.health
        if is_ally:
            state[at + 1] = _readiness(unit, facts)
        state[place] = (unit.x - width / 2) / width
        state[place + 1] = (unit.y - height / 2) / height
        if has_shield:
            state[place + 2] = unit.shield / kind.shield
        if has_look:
            state[place + 2 + has_shield] = facts.looks[unit.look, 0]
            state[place + 3 + has_shield] = facts.looks[unit.look, 1]
        if facts.type_bits > 0:
            state[types + kind.type_column] = 1.0
    return int(types + facts.type_bits)


@part
def _readiness(unit: Unit, facts: MapFacts) -> float:
    """Return a Medivac's energy or another unit's cooldown, over what SMAC takes for the most (issue 95)."""
    if is_medivac(unit, facts):
        return float(unit.energy / MAX_ENERGY)
    return float(unit.cooldown / facts.kinds[unit.kind].max_cooldown)
