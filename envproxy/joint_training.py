"""Joint training in an arena: shows the mixer what is played, and carries its training steps to the seats and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import MapSpec
from envproxy.mixing import Mixing
from envproxy.protocol import MixAbandoned, MixAnswer, MixHoldings, MixScale, Phase, awaits_answer
from envproxy.seats import Seat, SeatError, present


class JointTraining:
    """The joint mixer of the run that last wanted one, and the training step that is on."""

    def __init__(self, spec: MapSpec, battles: int, seats: Sequence[Seat], mixers: Path | None) -> None:
        """`mixers` is the folder where mixers are kept; None: they are not."""
        self._spec = spec
        self._battles = battles
        self._seats = seats
        self._mixers = mixers
        self._mixing: Mixing | None = None

    def prepare(self, phase: Phase) -> None:
        """Have a mixer if `phase` wants one: the present one if it is of the same run and settings."""
        order = phase.mixing
        if order is not None and (self._mixing is None or not self._mixing.takes(order)):
            self._mixing = Mixing(order, phase, self._spec, self._battles, self._mixers)

    def is_due(self, phase: Phase) -> bool:
        """Return whether a training step of `phase` is on or owed."""
        return self._mixing is not None and phase.mixing is not None and self._mixing.busy

    def takes_part(self, seat: int) -> bool:
        """Return whether `seat` takes part in a training step that is on."""
        return self._mixing is not None and self._mixing.takes_part(seat)

    def advance(self) -> bool:
        """Begin or continue a training step; return whether it is complete. Call only while one `is_due`."""
        assert self._mixing is not None
        events = self._mixing.go_on(present(self._seats))
        for seat, event in events.items():
            self._seats[seat].events.append(event)
            self._seats[seat].answered = not awaits_answer(event)
        return any(isinstance(event, MixScale) for event in events.values())

    def answer(self, seat: int, answer: MixAnswer) -> None:
        """Take in the answer of a seat that plays; one to a step that was abandoned is ignored.

        Raises SeatError if the run of the phase does not mix, or the answer is not what was expected.
        """
        if self._mixing is None:
            raise SeatError("no training step is on for this seat")
        try:
            expected = self._mixing.hear(seat, answer)
        except ValueError as error:
            raise SeatError(str(error)) from None
        if expected or self._seats[seat].silent:
            self._seats[seat].silent, self._seats[seat].answered = False, True
        if expected and isinstance(answer, MixHoldings):
            self.abandon(seat)

    def abandon(self, seat: int) -> None:
        """Abandon the training step that is on if `seat` takes part in it: it costs all seats one batch."""
        abandoned = None if self._mixing is None else self._mixing.abandon(seat)
        if abandoned is None:
            return
        seats, step = abandoned
        for other in map(self._seats.__getitem__, seats):
            other.answered = not other.silent  # they all had answered the tick before the step began
            other.events.append(MixAbandoned(step))

    def see(
        self,
        state: NDArray[np.float32],
        reward: NDArray[np.float32],
        began: NDArray[np.bool_],
        shown: NDArray[np.bool_],
    ) -> None:
        """Show the mixer a tick: state [E, s], reward [E], where battles began [E] and where one is shown [E]."""
        assert self._mixing is not None
        self._mixing.see(state, reward, began, shown)

    def ended(self, slot: int, battle: int, terminated: bool, takes_part: NDArray[np.bool_]) -> None:
        """The battle in `slot` ended; the seats that `takes_part` [N] have played it, and those present store it."""
        assert self._mixing is not None
        here = present(self._seats)
        self._mixing.ended(slot, battle, terminated, {seat for seat in here if takes_part[seat]}, here)

    def keep(self, phase: Phase) -> None:
        """Keep the mixer on disk at the end of a phase that wanted one."""
        if self._mixing is not None and phase.mixing is not None:
            self._mixing.keep(phase.round)
