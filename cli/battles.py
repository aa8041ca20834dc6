"""Battles outside of training, to be counted or watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envproxy.phases import battle_seed
from envproxy.protocol import Phase, PhaseKind, Standing

if TYPE_CHECKING:  # a run on another backend does without them
    from envproxy.backends.skirmish.policies import Policy
    from envproxy.backends.skirmish.recording import Recorder

_NO_ROUND = 2**31 - 1  # a round that no run reaches: its battles are none that were trained on


def evaluation_phase(seed: int, battles: int) -> Phase:
    """Return the phase whose battles are those of `seed`, whoever plays them."""
    return Phase(seed, _NO_ROUND, PhaseKind.EVALUATE, battles, 0, Standing())


def play_policy(policy: Policy, backend: Recorder, seed: int) -> None:
    """Play one battle in each slot with a scripted policy: those that a run's agents would meet with this seed."""
    phase = evaluation_phase(seed, backend.battles)
    rng = np.random.default_rng(seed)
    on = np.ones(backend.battles, np.bool_)
    backend.reset(on, np.array([battle_seed(phase, number) for number in range(backend.battles)], np.uint64))
    while on.any():
        result = backend.step(policy(backend.recorded, backend.observe(), rng))
        on &= ~(result.terminated | result.truncated)
