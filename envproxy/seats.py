"""A seat as its arena sees it, and the errors that a seat is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from envproxy.protocol import ArenaEvent, Phase


class SeatError(Exception):
    """A seat sent what it must not send. The other seats are unaffected; the message says what was expected."""


class TakenSeatError(SeatError):
    """Another client plays this seat."""


class StaleRoundError(SeatError):
    """A seat wants to play a round that the arena has left behind."""


class LateError(SeatError):
    """A seat has kept the others waiting for longer than it may in a round."""


class GivenUpError(SeatError):
    """The phase of a seat ended early; the seat may propose another."""


class NoBattlesError(SeatError):
    """The backend cannot play, and another proposal would not help; the message says why and what to do."""


def stale(newest: int) -> StaleRoundError:
    """Return what a seat of an older round is told."""
    return StaleRoundError(f"this round is over: the arena plays round {newest}")


def given_up(why: str) -> GivenUpError:
    """Return what the seats of a phase that was given up are told."""
    return GivenUpError(f"the phase was given up: {why}")


@dataclass
class Seat:
    """What a seat wants, whether it plays, and what it has not been told yet."""

    named: frozenset[int] = frozenset()  # the seats that it expects to play with; empty while it is absent
    wanted: Phase | None = None  # what it has proposed, until that has ended or the seat has left
    playing: bool = False  # takes part in the phase that is on
    silent: bool = False  # was held: its unit stops, and no seat waits for it
    answered: bool = False  # waits for the next tick
    events: deque[ArenaEvent | SeatError] = field(default_factory=deque)

    @property
    def proposal(self) -> Phase | None:
        """The phase whose begin it waits for."""
        return None if self.playing else self.wanted

    @property
    def present(self) -> bool:
        """Whether it plays and is not held."""
        return self.playing and not self.silent

    def stop(self) -> None:
        """Take no further part in the phase that is on."""
        self.playing, self.answered, self.wanted = False, False, None


def present(seats: Iterable[Seat]) -> list[int]:
    """Return the seats that play and are not held."""
    return [number for number, seat in enumerate(seats) if seat.playing and not seat.silent]
