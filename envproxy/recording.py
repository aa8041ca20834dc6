"""What battles looked like, step by step: a backend that remembers, for those who draw battles."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import MapSpec, Observation, Recordable, StepResult

NO_UNIT: Final = -1  # no target, no victim, or one that the game does not show
NO_ACTION: Final = -1  # a seat that has not acted since the reset

# What is remembered of a unit. Other units are named by their row; distances are in map cells.
FRAME: Final = np.dtype(
    [
        ("kind", np.int16),  # of `envproxy.maps.kind_names`, the same from a battle's beginning to its end
        ("x", np.float32),
        ("y", np.float32),
        ("health", np.float32),  # 0 = dead
        ("shield", np.float32),
        ("energy", np.float32),
        ("last_action", np.int16),  # of an ally's seat, or NO_ACTION
        ("target", np.int16),  # the unit that it is to attack or heal, or NO_UNIT
        ("victim", np.int16),  # the unit that it shot at last, or NO_UNIT
        ("shots", np.int16),  # since the battle began
        ("healing", np.int16),  # the unit that it heals, or NO_UNIT
    ]
)


class Outcome(enum.StrEnum):
    """How a battle ended."""

    WON = "won"
    LOST = "lost"
    DRAWN = "drawn"
    TIMED_OUT = "timed out"


@dataclass(frozen=True)
class Recording:
    """One battle from its beginning to its end, in T steps."""

    frames: NDArray[np.void]  # FRAME [T + 1, U], allies then enemies
    rewards: NDArray[np.float32]  # [T]
    outcome: Outcome

    @property
    def steps(self) -> int:
        """T."""
        return len(self.rewards)

    @property
    def kinds(self) -> NDArray[np.int16]:
        """[U], the units' kinds: indices into `envproxy.maps.kind_names`."""
        kinds: NDArray[np.int16] = self.frames["kind"][0]
        return kinds

    def shot_at(self) -> NDArray[np.int16]:
        """Return [T + 1, U]: whom each unit shot at in the step that led to a frame, or NO_UNIT."""
        shots = self.frames["shots"]
        shot = np.diff(shots, axis=0, prepend=shots[:1]) > 0
        return np.where(shot, self.frames["victim"], np.int16(NO_UNIT)).astype(np.int16)


@dataclass
class _Reel:
    """The recording of a battle that may still be on."""

    frames: list[NDArray[np.void]]
    rewards: list[np.float32] = field(default_factory=list)
    outcome: Outcome | None = None


class Recorder:
    """Battles that are remembered. For an arena it is a backend like the one that it records."""

    def __init__(self, battles: Recordable) -> None:
        self.recorded = battles
        self._reels: list[_Reel] = []  # in the order in which their battles began
        self._running: list[_Reel | None] = [None] * battles.battles

    @property
    def spec(self) -> MapSpec:
        """Sizes of the map."""
        return self.recorded.spec

    @property
    def battles(self) -> int:
        """E, the number of battles that are on at once."""
        return self.recorded.battles

    @property
    def repeatable(self) -> bool:
        """As the recorded battles are."""
        return self.recorded.repeatable

    @property
    def quick(self) -> bool:
        """As the recorded battles are."""
        return self.recorded.quick

    @property
    def restarts(self) -> int:
        """Of the recorded battles."""
        return self.recorded.restarts

    @property
    def provenance(self) -> Mapping[str, str]:
        """Of the recorded battles."""
        return self.recorded.provenance

    def prepare(self) -> None:
        """As the recorded battles do."""
        self.recorded.prepare()

    def recordings(self) -> list[Recording]:
        """Return the battles that were played to their end, in the order in which they began."""
        return [
            Recording(np.stack(reel.frames), np.array(reel.rewards, np.float32), reel.outcome)
            for reel in self._reels
            if reel.outcome is not None
        ]

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        """Start battles, and their recordings."""
        self.recorded.reset(mask, seeds)
        for slot in np.flatnonzero(mask).tolist():
            reel = _Reel([self.recorded.frame(slot)])
            self._reels.append(reel)
            self._running[slot] = reel

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        """Play one step and remember what it led to. A battle that the backend loses is forgotten."""
        result = self.recorded.step(actions)
        for slot, reel in enumerate(self._running):
            if reel is None:
                continue
            if result.void[slot]:
                self._running[slot] = None
                continue
            reel.frames.append(self.recorded.frame(slot))
            reel.rewards.append(result.reward[slot])
            if result.terminated[slot] or result.truncated[slot]:
                reel.outcome = _outcome(reel.frames[-1], slot, result)
                self._running[slot] = None
        return result

    def observe(self) -> Observation:
        """Return the present observations, availability and state."""
        return self.recorded.observe()

    def close(self) -> None:
        """Close the battles; the recordings stay."""
        self.recorded.close()


def _outcome(last: NDArray[np.void], slot: int, result: StepResult) -> Outcome:
    """Return how the battle of a slot ended whose last frame FRAME [U] is `last`."""
    if result.won[slot]:
        return Outcome.WON
    if result.truncated[slot]:
        return Outcome.TIMED_OUT
    return Outcome.LOST if (last["health"] > 0.0).any() else Outcome.DRAWN
