"""How long each seat of an arena has made the others wait in a round, against a budget. The caller has the clock.

A seat is late from the moment at which at least half of the seats have answered; from then on it is what the others
wait for. A slow seat that answers before the seat-timeout is not held by that; its lateness adds up here.
"""

from __future__ import annotations

import math
from collections.abc import Collection


class Lateness:
    """Seconds of waiting that N seats have caused in the present round."""

    def __init__(self, seats: int, budget: float) -> None:
        """`budget` is what one seat may cause in a round, in seconds; 0: any amount."""
        self._seats = seats
        self._budget = budget or math.inf
        self._spent = [0.0] * seats
        self._round = 0
        self._since: float | None = None  # when at least half of the seats had answered what is on
        self._over: dict[int, int] = {}  # the round in which a seat had used up its budget

    def is_over(self, seat: int, round_: int) -> bool:
        """Whether a seat has used up its budget in this round, or a newer one."""
        return self._over.get(seat, -1) >= round_

    def begin(self, round_: int) -> None:
        """All wait for the seats' answers from now on; in a new round, with new budgets."""
        self._since = None
        if round_ != self._round:
            self._round, self._spent = round_, [0.0] * self._seats

    def answered(self, seat: int, awaited: Collection[int], now: float) -> None:
        """A seat has answered; `awaited` are those that have not."""
        if self._since is not None:
            self._spent[seat] += now - self._since
        elif len(awaited) <= self._seats / 2:
            self._since = now

    def deadline(self, awaited: Collection[int]) -> float:
        """Return when the first of the awaited seats will have used up its budget; infinity if none is late."""
        if self._since is None:
            return math.inf
        return self._since + self._budget - max((self._spent[seat] for seat in awaited), default=-math.inf)

    def end_late(self, awaited: Collection[int], now: float) -> list[int]:
        """Return the awaited seats that have used up their budgets by now; they are over it for this round."""
        late = [seat for seat in awaited if self.deadline([seat]) <= now]
        self._over.update(dict.fromkeys(late, self._round))
        return late
