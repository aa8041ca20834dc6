"""Battles outside of training, to be counted or watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import Backend, Observation
from envproxy.phases import MAX_PHASE_BATTLES, battle_seed
from envproxy.protocol import Phase, PhaseKind, Standing

# Chooses an available action [E, N] for every seat.
Choice: TypeAlias = Callable[[Observation, np.random.Generator], NDArray[np.uint8]]

_NO_ROUND = 2**31 - 1  # a round that no run reaches: its battles are none that were trained on


def check_request(battles: int, seed: int | None, most: int = MAX_PHASE_BATTLES, name: str = "battles") -> None:
    """Raise ValueError unless 1..`most` battles are asked for, by `name`, and `seed` is None or in 0..2^63-1."""
    if not (isinstance(battles, int) and 1 <= battles <= most):
        raise ValueError(f"{name}: expected 1..{most}, found {battles!r}")
    if seed is not None and not (isinstance(seed, int) and 0 <= seed < 2**63):
        raise ValueError(f"seed: expected 0..2^63-1, found {seed!r}")


def check_team(team: int, teams: int) -> None:
    """Raise ValueError unless a run of so many teams has the team of this number."""
    if not (isinstance(team, int) and 0 <= team < teams):
        expected = "0, the one team" if teams == 1 else f"0..{teams - 1}, a team"
        raise ValueError(f"team: expected {expected} of the run, found {team!r}")


def evaluation_phase(seed: int, battles: int) -> Phase:
    """Return the phase whose battles are those of `seed`, the same for every team."""
    return Phase(seed, _NO_ROUND, PhaseKind.EVALUATE, battles, 0, Standing())


def play_battles(choose: Choice, backend: Backend, seed: int) -> None:
    """Play one battle in each slot to its end: those that a run's agents would meet with this seed.

    A battle that the backend loses is played again. Raises BackendFailedError if it cannot play.
    """
    phase = evaluation_phase(seed, backend.battles)
    rng = np.random.default_rng(seed)
    seeds = np.array([battle_seed(phase, number) for number in range(backend.battles)], np.uint64)
    on = np.ones(backend.battles, np.bool_)
    backend.reset(on, seeds)
    while on.any():
        result = backend.step(choose(backend.observe(), rng))
        on &= ~(result.terminated | result.truncated) | result.void
        if result.void.any():
            backend.reset(result.void, seeds)
