"""Admission to an arena, and the votes of its seats: what each wants, what is on, and whom the others wait for."""

from __future__ import annotations

from dataclasses import dataclass

from envproxy.battle_loop import PhaseTotals
from envproxy.protocol import Phase, Seated, Standing
from envproxy.seats import Seat, SeatError, stale
from envproxy.votes import chosen, outvotes, overtaking


@dataclass(frozen=True)
class EndedPhase:
    """A phase that has ended, for seats that were absent."""

    totals: PhaseTotals
    standing: Standing  # after it
    missed: list[int]  # for every seat the battles that it has not played from beginning to end


class Admission:
    """The seats of an arena, and the phase that they have agreed on."""

    def __init__(self, seats: int) -> None:
        self.seats = [Seat() for _ in range(seats)]
        self._phase: Phase | None = None  # that is on
        self._backers: set[int] = set()  # the seats that have proposed just this
        self._ended: list[EndedPhase] = []  # phases of the newest order, oldest first
        self._awaited: list[int] | None = None  # `awaited`, as long as nothing but answers has changed

    # --- proposals --------------------------------------------------------------------------------------------

    def check_round(self, seat: int, phase: Phase) -> None:
        """Raise StaleRoundError if most of the other seats want a newer round than `phase`'s."""
        if (newer := overtaking(phase, self._wanted(but=self.seats[seat]))) is not None:
            raise stale(newer)

    def propose(self, seat: int, phase: Phase) -> EndedPhase | None:
        """Let `seat` want `phase`: it joins the phase that is on, or waits for one.

        Return the ended phase that it is told instead of playing, None if there is none.
        """
        self.changed()
        state = self.seats[seat]
        state.events.clear()
        state.silent = False
        state.named = (phase.seats or frozenset(range(len(self.seats)))) | {seat}
        state.wanted = phase
        if (ended := self.ended_without(phase)) is not None:
            state.stop()
            state.events.append(Seated(ended.totals.phase))
        elif self._phase is not None and self._joins(seat, phase, self._phase):
            state.playing, state.answered = True, True
            state.events.append(Seated(self._phase))
        else:
            state.playing, state.answered = False, False
        return ended

    def leave(self, seat: int) -> None:
        """`seat` is gone. Those who have named it wait for it as for any seat that does not answer."""
        self.changed()
        state = self.seats[seat]
        state.stop()
        state.named = frozenset()
        state.events.clear()

    def forget_silence(self) -> None:
        """Wait again for seats that were held, if no seat plays or waits for a phase."""
        if not any(seat.playing or seat.proposal for seat in self.seats):
            for seat in self.seats:
                seat.silent = False

    def ended_without(self, phase: Phase) -> EndedPhase | None:
        """Return the first phase of a proposal's order that has ended beyond what the proposing seat knows."""
        return next((e for e in self._ended if e.totals.phase.of_order(phase) and e.standing > phase.standing), None)

    # --- the phase that is on ---------------------------------------------------------------------------------

    def choose(self) -> Phase:
        """Return which of the proposed phases is played. Call only while there are proposals."""
        return chosen([seat.proposal for seat in self.seats if seat.proposal is not None])

    def begin(self, phase: Phase) -> None:
        """Let the seats that want the round of `phase` play it; turn away those that want an older one."""
        self._phase = phase
        self._backers = {
            number
            for number, seat in enumerate(self.seats)
            if seat.proposal is not None and seat.proposal.common() == phase.common()
        }
        self._ended = [ended for ended in self._ended if ended.totals.phase.of_order(phase)]
        for seat in self.seats:
            if seat.proposal is not None and seat.proposal.round < phase.round:
                _turn_away(seat, phase.round)
            seat.playing = seat.proposal is not None and seat.proposal.round == phase.round
            seat.answered = False
            if seat.playing:
                seat.events.append(Seated(phase))

    def end(self, ended: EndedPhase) -> list[int]:
        """End the phase that is on; return the seats that have played it."""
        self._phase = None
        self._ended.append(ended)
        played = [number for number, seat in enumerate(self.seats) if seat.playing]
        for number in played:
            self.seats[number].stop()
        for seat in self.seats:
            seat.answered = False
        return played

    def give_up(self, why: SeatError) -> None:
        """End the phase that is on without a result."""
        self._phase = None
        for seat in self.seats:
            if seat.playing:
                seat.stop()
                seat.events.append(why)

    def refuse_proposals(self, why: SeatError) -> None:
        """End the wait of all seats that propose a phase."""
        self.changed()
        for seat in self.seats:
            if seat.proposal is not None:
                seat.wanted = None
                seat.events.append(why)

    # --- votes ------------------------------------------------------------------------------------------------

    @property
    def is_deserted(self) -> bool:
        """Whether no seat plays the phase that is on."""
        return self._phase is not None and not any(seat.present for seat in self.seats)

    @property
    def is_outvoted(self) -> bool:
        """Whether most seats want another phase than the one that is on."""
        return self._phase is not None and outvotes(self._wanted(), self._phase, len(self._backers))

    def turn_away_overtaken(self) -> None:
        """End the wait of seats whose rounds are left behind."""
        for seat in self.seats:
            if seat.proposal is not None:
                newer = overtaking(seat.proposal, self._wanted(but=seat))
                if newer is not None:
                    _turn_away(seat, newer)

    # --- waiting ----------------------------------------------------------------------------------------------

    @property
    def awaited(self) -> list[int]:
        """The seats that others are waiting for. Not to be changed by the caller."""
        if self._awaited is None:
            self._awaited = self._find_awaited()
        return self._awaited

    @property
    def is_complete(self) -> bool:
        """Whether a turn may be taken once no seat is awaited."""
        if self._phase is None:
            return any(seat.proposal for seat in self.seats)
        return any(seat.answered for seat in self.seats)

    def answered(self, seat: int) -> None:
        """`seat` has answered, and nothing else has changed."""
        state = self.seats[seat]
        state.silent, state.answered = False, True
        if self._awaited is not None:
            if seat in self._awaited:
                self._awaited.remove(seat)
            else:
                self._awaited = None

    def changed(self) -> None:
        """Other seats than before may be awaited."""
        self._awaited = None

    # --- inside -----------------------------------------------------------------------------------------------

    def _find_awaited(self) -> list[int]:
        if not any(seat.answered or seat.proposal for seat in self.seats):
            return []
        # a seat that waits for a newer round than the one that is on has named no seat for this one
        named = frozenset[int]().union(*(seat.named for seat in self.seats if not (self._phase and seat.proposal)))
        return [
            number
            for number, seat in enumerate(self.seats)
            if number in named and not (seat.silent or seat.answered or seat.proposal)
        ]

    def _wanted(self, but: Seat | None = None) -> list[Phase]:
        return [seat.wanted for seat in self.seats if seat.wanted is not None and seat is not but]

    def _joins(self, seat: int, phase: Phase, on: Phase) -> bool:
        """Return whether a seat that proposes `phase` takes part in what is played.

        Its own may be another one: it has lost its stream, and cannot know how far the others have come.
        """
        if phase.common() == on.common():
            self._backers.add(seat)
            return True
        return phase.round == on.round and len(self._backers) > 1


def _turn_away(seat: Seat, newer: int) -> None:
    """Tell a seat that waits for a round that it is over."""
    seat.wanted = None
    seat.events.append(stale(newer))
