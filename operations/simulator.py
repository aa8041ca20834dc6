"""The simulator version: which battles the embedded simulator plays. It tells which results may be compared."""

from __future__ import annotations

from typing import Final

BACKEND: Final = "skirmish"

SIMULATOR: Final = 2
"""Raise it with any change after which a battle of the same seed and actions may come out otherwise, and say in
docs/skirmish.md what has changed."""

_UNNUMBERED: Final = 1  # of records that do not say it: version 1 had no number


def simulator_of(backend: str) -> int:
    """Return the simulator version that this process plays on a backend; 0: the backend is not the simulator."""
    return SIMULATOR if backend == BACKEND else 0


def recorded_simulator(backend: str, said: int) -> int:
    """Return the simulator version of a record of battles on a backend that has `said`, 0 where it does not say it."""
    return (said or _UNNUMBERED) if backend == BACKEND else 0


def other_simulator(backend: str, said: int) -> str:
    """Return why this process cannot continue what a record is of; "" if it can."""
    played = recorded_simulator(backend, said)
    if played == simulator_of(backend):
        return ""
    return f"simulator version {played} played the battles, and this pps-qmix has version {SIMULATOR}"
