"""What an arena counts for those who watch it: plain numbers, a few additions a tick. `envproxy.metrics` shows them."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

WAITS_UP_TO = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # seconds


@dataclass
class Played:
    """What was played since the arena was made, collecting and evaluating."""

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
class Waits:
    """From the arena's word to the answer of the last seat, in seconds: how often how long."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(WAITS_UP_TO) + 1))  # the last one: longer than all
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect.bisect_left(WAITS_UP_TO, seconds)] += 1
        self.total += seconds


@dataclass
class Traffic:
    """Messages of one seat and their bytes, without what gRPC and TLS put around them."""

    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0

    def came(self, message: bytes) -> None:
        self.messages_in += 1
        self.bytes_in += len(message)

    def went(self, message: bytes) -> None:
        self.messages_out += 1
        self.bytes_out += len(message)


@dataclass(frozen=True)
class ArenaFigures:
    """All that is counted of an arena, at one moment."""

    arena: str
    round: int
    steps: int  # environment steps collected in the round
    played: Played
    restarts: int  # of what plays the battles
    waits: Waits
    taken: frozenset[int]
    held: tuple[int, ...]  # by seat: how often the others played on without it
    traffic: tuple[Traffic, ...]  # by seat
