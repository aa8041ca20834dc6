"""What a phase may ask for, and the ids and seeds of its battles. Pure functions."""

from __future__ import annotations

import operator
from typing import Final

import numpy as np

from envproxy.backend import MapSpec
from envproxy.mixing import check_order
from envproxy.protocol import REWARD_CREDITS, Phase, RewardOrder

_ROUND_SHIFT, _INDEX_SHIFT = 32, 20  # a battle id is round, phase, number: unique in a run, never 0
MAX_PHASE_BATTLES: Final = 2**_INDEX_SHIFT - 2
MAX_REWARD_BUFFER: Final = 100_000  # battles that an account remembers; it has room for as many numbers
_BOUNDS: Final = {  # ids fit into uint64, and what a phase adds still fits into the protocol
    "seed": 2**64,
    "round": 2**32,
    "order": 2**64,
    "battles": MAX_PHASE_BATTLES + 1,
    "steps": 2**48,
    "standing.index": 2 ** (_ROUND_SHIFT - _INDEX_SHIFT),
    "standing.battles": 2**31,
    "standing.steps": 2**48,
    "standing.evaluations": 2**48,
}


def battle_id(phase: Phase, number: int) -> int:
    """Return the id of battle `number` (0, 1, ...) of a phase."""
    return (phase.round << _ROUND_SHIFT) + (phase.standing.index << _INDEX_SHIFT) + number + 1


def battle_seed(phase: Phase, number: int) -> int:
    """Return the seed of battle `number`: a function of the run's seed and the battle's place in the run alone."""
    sequence = np.random.SeedSequence([phase.seed, battle_id(phase, number)])
    return int(sequence.generate_state(1, np.uint64)[0])


def check_phase(phase: Phase, spec: MapSpec) -> str | None:
    """Return what is wrong with a phase on this map: no end, or numbers that cannot be counted or mixed with."""
    for name, bound in _BOUNDS.items():
        value = operator.attrgetter(name)(phase)
        if not 0 <= value < bound:
            return f"a phase with {name} {value}; expected 0..{bound - 1}"
    if phase.battles == 0 and phase.steps == 0:
        return "a phase needs a bound: battles or steps above 0"
    if strange := [seat for seat in phase.seats if not 0 <= seat < spec.n_agents]:
        return f"a phase that names seat {max(strange)}; expected 0..{spec.n_agents - 1}"
    if phase.rewards is not None and (wrong := _check_rewards(phase.rewards)):
        return wrong
    if phase.mixing is not None and (wrong := check_order(phase.mixing, spec)):
        return f"joint mixing with {wrong}"
    return None


def _check_rewards(order: RewardOrder) -> str | None:
    if not (order.size <= MAX_REWARD_BUFFER and order.credit in REWARD_CREDITS):
        return f"rewards of {order.size} battles; expected up to {MAX_REWARD_BUFFER}, credit alive or team"
    if len(order.run) > 64:
        return f"a run id of {len(order.run)} characters; expected up to 64"
    return None
