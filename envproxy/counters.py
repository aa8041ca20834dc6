"""Counters of an arena: plain numbers, a few additions a tick. `envproxy.metrics` exports them to Prometheus."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

WAIT_BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # seconds


@dataclass
class BattleCounters:
    """What was played since the arena was made, in collect and evaluate phases."""

    ticks: int = 0
    won: int = 0
    lost: int = 0  # or drawn
    cut: int = 0  # by the map's step limit
    void: int = 0  # lost by the backend
    mixing_steps: int = 0

    def add(self, won: int, lost: int, cut: int, void: int) -> None:
        """Battles have ended."""
        self.won += won
        self.lost += lost
        self.cut += cut
        self.void += void


@dataclass
class WaitHistogram:
    """Seconds from the arena's message to the answer of the last seat, as a histogram."""

    counts: list[int] = field(
        default_factory=lambda: [0] * (len(WAIT_BOUNDS) + 1)
    )  # the last one: longer than all bounds
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect.bisect_left(WAIT_BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass
class Traffic:
    """Messages of one seat and their bytes, without the overhead of gRPC and TLS."""

    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0

    def received(self, message: bytes) -> None:
        self.messages_in += 1
        self.bytes_in += len(message)

    def sent(self, message: bytes) -> None:
        self.messages_out += 1
        self.bytes_out += len(message)


@dataclass(frozen=True)
class ArenaCounters:
    """All counters of an arena at one moment."""

    arena: str
    round: int
    steps: int  # environment steps collected in the round
    played: BattleCounters
    restarts: int  # of what plays the battles
    waits: WaitHistogram
    taken: frozenset[int]
    held: tuple[int, ...]  # by seat: how often it was held
    traffic: tuple[Traffic, ...]  # by seat
