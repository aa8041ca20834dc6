"""An arena: E battles of one map that N seats play in lockstep. No threads, no clock, no network in here.

Its driver (the gRPC service, the in-process runtime) passes the seats' messages in with `propose`, `act` and `mix`,
takes a `turn` while the arena is `ready`, and hands each seat its `next_event`. A driver with a clock holds the seats
in `awaited` when it has waited long enough for them.

The arena joins three parts: `envproxy.admission` (who is here and what is played), `envproxy.battle_loop` (the battles
of the phase that is on) and `envproxy.joint_training`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envproxy.admission import Admission, EndedPhase
from envproxy.backend import Backend, MapSpec
from envproxy.battle_loop import BattleLoop, Turn, Work
from envproxy.counters import BattleCounters
from envproxy.joint_training import JointTraining
from envproxy.ledger import Ledger
from envproxy.phases import check_phase
from envproxy.protocol import ArenaEvent, MixAnswer, Phase, PhaseEnd, PhaseKind
from envproxy.seats import SeatError, given_up


class Arena:
    """E battles, N seats. See the module's docstring for how it is driven."""

    def __init__(self, backend: Backend, mixers: Path | None = None) -> None:
        """`mixers` is the folder where joint mixers are kept; None: they are not.

        `quick` says whether a turn takes milliseconds, as its backend has it.
        """
        self.spec: MapSpec = backend.spec
        self.battles: int = backend.battles
        self.played = BattleCounters()
        self.quick = backend.quick
        self._backend = backend
        self._admission = Admission(self.spec.n_agents)
        self._seats = self._admission.seats
        self._training = JointTraining(self.spec, self.battles, self._seats, mixers)
        self._ledger = Ledger(self.battles, self.spec.n_agents)
        self._loop: BattleLoop | None = None  # of the phase that is on
        self._busy = False  # a turn is being taken
        self._round = 0
        self._collected = 0  # environment steps of the round, up to the present phase

    # --- what a seat says -------------------------------------------------------------------------------------

    def propose(self, seat: int, phase: Phase) -> None:
        """Let seat `seat` propose `phase`; `Seated` tells it what is played.

        When the seats gather, `envproxy.votes` says what is played. A seat that comes while its round is being played
        joins the phase that is on, and takes part from the next battle of each slot. One that was away when a phase of
        the server's order ended is told its end, and the battles that it missed: alone it would play the rest a second
        time, against idle units.

        The seats that are here wait for each other, and for those that any of them has named; others may come all the
        same. What a hostile seat names costs the others no more than its own silence would: a seat that is named and
        never comes is held. By naming itself alone, a seat may begin a round before the others are there. If that is
        what they would have played, they join as above. No seat joins a phase that one seat alone has proposed, and
        it is given up as soon as more than half of the seats want the same other one.

        Raises SeatError for an impossible phase, StaleRoundError for a round that is over.
        """
        if wrong := check_phase(phase, self.spec):
            raise SeatError(wrong)
        self._admission.check_round(seat, phase)
        self._pause(seat)
        self._ledger.keep(seat, phase.rewards)
        ended = self._admission.propose(seat, phase)
        if ended is not None:
            self._seats[seat].events.append(self._phase_end(ended, seat))
        else:
            self._give_up_if_deserted()
        self._follow_most()

    def act(self, seat: int, tick: int, actions: NDArray[np.uint8]) -> None:
        """Answer tick `tick` with `actions` [E] of seat `seat`; entries without a battle of its own are ignored.

        A seat that was held may answer an older tick; it then resumes at the next battle of each slot.

        Raises SeatError if the seat is not playing, or the tick, the shape or an action is not what was expected.
        """
        loop, state = self._loop, self._seats[seat]
        if not state.playing and state.events:  # its phase ended while it was silent; it is about to be told
            return
        if loop is None or not state.playing:
            raise SeatError("no phase is on for this seat: propose one first")
        if actions.shape != (self.battles,):
            raise SeatError(f"{actions.size} actions; expected one uint8 for each of {self.battles} battles")
        on = loop.totals.tick
        if tick > on or (tick < on and not state.silent):
            raise SeatError(f"an answer to tick {tick}; expected one to tick {on}")
        if self._training.takes_part(seat):
            raise SeatError(f"an answer to tick {tick}; expected one to the training step that is on")
        if tick == on:
            loop.act(seat, actions)
        self._admission.answered(seat)

    def mix(self, seat: int, answer: MixAnswer) -> None:
        """Answer a training step for seat `seat`; an answer to a step that was abandoned is ignored.

        Raises SeatError if the seat is not playing, or the answer is not what was expected.
        """
        state = self._seats[seat]
        self._admission.changed()
        if not state.playing and state.events:  # as in `act`
            return
        if not state.playing:
            raise SeatError("no training step is on for this seat")
        self._training.answer(seat, answer)

    def leave(self, seat: int) -> None:
        """Free seat `seat`. Those who have named it wait for it as for any seat that does not answer."""
        self._pause(seat)
        self._admission.leave(seat)
        self._give_up_if_deserted()
        self._follow_most()
        self._admission.forget_silence()

    def next_event(self, seat: int) -> ArenaEvent | None:
        """Take the oldest event that seat `seat` has not been handed.

        Raises StaleRoundError or GivenUpError if the seat waits in vain.
        """
        events = self._seats[seat].events
        if not events:
            return None
        event = events.popleft()
        if isinstance(event, SeatError):
            raise event
        return event

    # --- waiting and turns ------------------------------------------------------------------------------------

    @property
    def awaited(self) -> list[int]:
        """The seats that others are waiting for; empty while all wait for the backend, or no seat waits."""
        return [] if self._busy else list(self._admission.awaited)

    @property
    def is_awaiting(self) -> bool:
        """Whether there are seats that others are waiting for."""
        return not self._busy and bool(self._admission.awaited)

    @property
    def ready(self) -> bool:
        """Whether every seat that counts has answered, so that a `turn` may be taken."""
        return not (self._busy or self._admission.awaited) and self._admission.is_complete

    def hold_silent(self) -> list[int]:
        """Hold the awaited seats; return them."""
        held = self.awaited
        self.hold(held)
        return held

    def hold(self, held: Collection[int]) -> None:
        """Stop waiting for these seats. Each counts again as soon as it answers."""
        self._admission.changed()
        for seat in held:
            self._seats[seat].silent = True
        for seat in held:
            self._pause(seat)
        self._give_up_if_deserted()

    def advance(self) -> None:
        """Take a turn, and do its work here and now. Call only while `ready`."""
        take(self.turn())

    def turn(self) -> Turn:
        """Begin a phase, continue training that is owed, or play one tick. Call only while `ready`.

        Yields the backend's work and is sent what it returned. A driver with a lock releases it for the work: seats may
        answer and leave meanwhile, and the arena stays busy. If the phase has been given up by then, its turn ends.
        """
        self._busy = True
        self._admission.changed()
        try:
            loop = self._loop
            if loop is None:
                loop = self._begin()
                yield from loop.begin()
            elif self._training.is_due(loop.phase):
                self.played.mixing_steps += self._training.advance()
            else:
                yield from loop.step()
            if loop.over and self._loop is loop:
                self._end(loop)
        finally:
            self._busy = False

    def give_up(self, why: SeatError) -> None:
        """End the phase that is on without a result, and the wait of all that propose one: a turn has failed."""
        self._give_up(why)
        self._admission.refuse_proposals(why)

    @property
    def round_and_steps(self) -> tuple[int, int]:
        """The newest round, and the environment steps collected in it so far."""
        loop = self._loop
        playing = loop is not None and loop.phase.kind is PhaseKind.COLLECT
        return self._round, self._collected + (loop.totals.steps if playing and loop else 0)

    @property
    def restarts(self) -> int:
        """How often the backend has restarted what plays a battle."""
        return self._backend.restarts

    @property
    def provenance(self) -> Mapping[str, str]:
        """What the battles are played on, for a run's record."""
        return self._backend.provenance

    def close(self) -> None:
        """Close the backend, also while it works for a turn; the work then fails."""
        self._backend.close()

    # --- inside -----------------------------------------------------------------------------------------------

    def _begin(self) -> BattleLoop:
        phase = self._admission.choose()
        self._training.prepare(phase)  # first: it reads files
        self._admission.begin(phase)
        self._round, self._collected = phase.round, phase.standing.steps
        self._loop = BattleLoop(phase, self._backend, self._seats, self._ledger, self._training, self.played)
        return self._loop

    def _end(self, loop: BattleLoop) -> None:
        standing = loop.totals.standing()
        self._collected = standing.steps
        self._training.keep(loop.phase)
        self._loop = None
        ended = EndedPhase(loop.totals, standing, loop.missed)
        for seat in self._admission.end(ended):
            self._seats[seat].events.append(self._phase_end(ended, seat))

    def _give_up_if_deserted(self) -> None:
        if self._admission.is_deserted:
            self._give_up(given_up("all its seats have left or were silent for too long"))

    def _follow_most(self) -> None:
        """Give up the phase that is on if most want another; end the wait of seats whose rounds are left behind."""
        if self._admission.is_outvoted:
            self._give_up(given_up("most of the seats play another one"))
        self._admission.turn_away_overtaken()

    def _give_up(self, why: SeatError) -> None:
        if self._loop is None:
            return
        self._loop.over, self._loop = True, None
        for number in range(len(self._seats)):
            self._training.abandon(number)
        self._admission.give_up(why)

    def _pause(self, seat: int) -> None:
        """Let a seat take no further part in the battles that are on, nor in a training step."""
        self._training.abandon(seat)
        if self._loop is not None:
            self._loop.pause(seat)

    def _phase_end(self, ended: EndedPhase, seat: int) -> PhaseEnd:
        totals = ended.totals
        return PhaseEnd(
            standing=ended.standing,
            battles=totals.battles,
            steps=totals.steps,
            won=totals.won,
            return_sum=totals.return_sum,
            missed=ended.missed[seat],
            earned=self._ledger.balance(seat, totals.phase.round),
        )


def take(turn: Turn, do: Callable[[Work], Any] = lambda work: work()) -> None:
    """Take a turn to its end; `do` does its work."""
    with contextlib.closing(turn):
        done = None
        while True:
            try:
                work = turn.send(done)
            except StopIteration:
                return
            done = do(work)
