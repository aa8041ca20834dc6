"""An arena: E battles of one map that N seats play in lockstep. No threads, no clock, no network in here.

Its driver (the gRPC service, the in-process runtime) passes the seats' words in with `propose` and `act`, takes a
`turn` while it is `ready`, and hands each seat its `next_event`. A driver with a clock lets it `hold` the seats in
`awaited` when it has waited long enough for them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import operator
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import Backend, MapSpec, Observation, StepResult
from envproxy.ledger import Ledger
from envproxy.mixing import Mixing
from envproxy.phases import MAX_PHASE_BATTLES, battle_id, battle_seed, check_phase
from envproxy.protocol import (
    ACTION_NO_OP,
    ACTION_STOP,
    ArenaEvent,
    Ended,
    MixAbandoned,
    MixAnswer,
    MixHoldings,
    MixScale,
    Phase,
    PhaseEnd,
    PhaseKind,
    Seated,
    Standing,
    Tick,
    awaits_answer,
)
from envproxy.tally import Played
from envproxy.votes import chosen, outvotes, overtaking

Work: TypeAlias = Callable[[], Any]  # what the backend has to do before a turn can continue
Turn: TypeAlias = Generator[Work, Any, None]  # is sent what its work returned


class SeatError(Exception):
    """A seat said what it must not say. Nothing changed for the other seats; the message says what was expected."""


class TakenSeatError(SeatError):
    """Somebody else plays this seat."""


class StaleRoundError(SeatError):
    """A seat wants to play a round that the arena has left behind."""


class LateError(SeatError):
    """A seat has made the others wait for longer than it may in a round."""


class GivenUpError(SeatError):
    """The phase that a seat played will not be ended; it may propose another."""


class NoBattlesError(SeatError):
    """The backend cannot play, and would not with another proposal; the message says why and what to do."""


def _stale(newest: int) -> StaleRoundError:
    return StaleRoundError(f"this round is over: the arena plays round {newest}")


def given_up(why: str) -> GivenUpError:
    """Return what seats are told of a phase that has been given up."""
    return GivenUpError(f"the phase was given up: {why}")


@dataclass
class _Seat:
    """One seat's side of the arena."""

    takes_part: NDArray[np.bool_]  # [E], plays this battle; a column of the arena's
    named: frozenset[int] = frozenset()  # the seats that it expects to play with; none while it is not here
    wanted: Phase | None = None  # what it has proposed, until that has ended or it is gone
    playing: bool = False  # takes part in the phase that is on
    silent: bool = False  # was awaited too long: its unit holds and nobody waits for it
    answered: bool = False  # waits for the next tick
    acted: bool = False  # has said what it does on this tick
    missed: int = 0  # battles of the phase that it has not played from beginning to end, whether it is here or not
    events: deque[ArenaEvent | SeatError] = field(default_factory=deque)

    @property
    def proposal(self) -> Phase | None:
        """What waits for a phase to begin."""
        return None if self.playing else self.wanted

    def pause(self, on: NDArray[np.bool_]) -> None:
        """Take no further part in the battles that are `on` [E]."""
        self.missed += int((on & self.takes_part).sum())
        self.takes_part[:] = False
        self.acted = False


@dataclass
class _Play:
    """The phase that is on, or was."""

    phase: Phase
    backers: set[int]  # the seats that have proposed just this
    tick: int = 0
    steps: int = 0
    begun: int = 0
    void: int = 0  # battles that the backend has lost: all figures here are without them
    battles: int = 0
    won: int = 0
    return_sum: float = 0.0


@dataclass(frozen=True)
class _EndedPlay:
    """A phase that has ended, for seats that were not here."""

    play: _Play
    standing: Standing  # after it
    missed: list[int]  # for every seat the battles that it has not played from beginning to end


class Arena:
    """E battles, N seats. See the module's docstring for how it is driven."""

    def __init__(self, backend: Backend, mixers: Path | None = None) -> None:
        """`mixers` is the folder where joint mixers are kept; None: they are not.

        `quick` says whether a turn takes milliseconds, as its backend has it.
        """
        self.spec: MapSpec = backend.spec
        self.battles: int = backend.battles
        self.played = Played()
        self.quick = backend.quick
        self._backend = backend
        size = (self.battles, self.spec.n_agents)
        self._take_part = np.zeros(size, np.bool_)  # which seat plays which battle
        self._seats = [_Seat(column) for column in self._take_part.T]
        self._play: _Play | None = None
        self._ended: list[_EndedPlay] = []  # phases of the newest order, oldest first
        self._mixing: Mixing | None = None  # of the run that last wanted it
        self._mixers = mixers
        self._ids = np.zeros(self.battles, np.uint64)  # of the battles that are on, or ended on this tick
        self._on = np.zeros(self.battles, np.bool_)
        self._steps = np.zeros(self.battles, np.int64)  # of the battles that are on, or ended on this tick
        self._returns = np.zeros(self.battles, np.float64)  # the same
        self._busy = False  # a turn is being taken
        self._available = np.zeros((*size, self.spec.n_actions), np.bool_)
        self._actions = np.zeros(size, np.uint8)  # what the seats that have acted do
        self._slots = np.arange(self.battles)
        self._offsets = range(0, self.battles * self.spec.n_actions, self.spec.n_actions)
        self._none = np.zeros(self.battles, np.bool_)
        self._waited_for: list[int] | None = None  # `awaited`, as long as nothing but answers has changed
        self._ledger = Ledger(self.battles, self.spec.n_agents)
        self._round = 0
        self._collected = 0  # environment steps of the round, up to the present phase

    # --- what a seat says -------------------------------------------------------------------------------------

    def propose(self, seat: int, phase: Phase) -> None:
        """Seat `seat` wants to play `phase`; it is told with `Seated` what is played.

        When the seats gather, `envproxy.votes` says what is played. A seat that comes while its round is being played
        joins the phase that is on, and takes part from the next battle of each slot. One that was away when a phase of
        the server's order ended is told its end, and the battles that it missed: alone it would play the rest a second
        time, against idle units.

        The seats that are here wait for each other, and for those that any of them has named; others may come all the
        same. What a hostile seat names costs the others no more than its own silence would: who is named in vain is
        held. Naming itself alone, it may begin a round before anybody else is there. If that is what they would have
        played, they join as above; a phase that it alone has proposed nobody joins, and it is given up as soon as more
        than half of the seats want the same other one.

        Raises SeatError for an impossible phase, StaleRoundError for a round that is over.
        """
        if wrong := check_phase(phase, self.spec):
            raise SeatError(wrong)
        state = self._seats[seat]
        if (newer := overtaking(phase, self._wanted_by(s for s in self._seats if s is not state))) is not None:
            raise _stale(newer)
        self._waited_for = None
        self._abandon_training(seat)
        self._ledger.keep(seat, phase.rewards)
        state.pause(self._on)
        state.events.clear()
        state.silent = False
        state.named = (phase.seats or frozenset(range(len(self._seats)))) | {seat}
        state.wanted = phase
        if (ended := self._ended_without(phase)) is not None:
            state.playing, state.answered, state.wanted = False, False, None
            state.events += [Seated(ended.play.phase), self._phase_end(ended, seat)]
        elif self._play is not None and self._joins(seat, phase, self._play):
            state.playing, state.answered = True, True
            state.events.append(Seated(self._play.phase))
        else:
            state.playing, state.answered = False, False
            self._abandon_if_deserted()
        self._follow_most()

    def act(self, seat: int, tick: int, actions: NDArray[np.uint8]) -> None:
        """Seat `seat` answers tick `tick` with `actions` [E]; entries without a battle of its own are ignored.

        A seat that was held may answer an older tick; it then goes on at the next battle of each slot.

        Raises SeatError if the seat is not playing, or the tick, the shape or an action is not what was expected.
        """
        play, state = self._play, self._seats[seat]
        waited_for, self._waited_for = self._waited_for, None
        if not state.playing and state.events:  # its phase ended while it was silent; it is about to be told
            return
        if play is None or not state.playing:
            raise SeatError("no phase is on for this seat: propose one first")
        if actions.shape != (self.battles,):
            raise SeatError(f"{actions.size} actions; expected one uint8 for each of {self.battles} battles")
        if tick > play.tick or (tick < play.tick and not state.silent):
            raise SeatError(f"an answer to tick {tick}; expected one to tick {play.tick}")
        if self._mixing is not None and self._mixing.takes_part(seat):
            raise SeatError(f"an answer to tick {tick}; expected one to the training step that is on")
        if tick < play.tick:
            state.silent, state.answered = False, True
            return
        if (slot := self._first_illegal(seat, actions)) is not None:
            available = ", ".join(map(str, np.flatnonzero(self._available[slot, seat])))
            raise SeatError(
                f"action {actions[slot]} is not available in slot {slot} (battle {self._ids[slot]}, tick {tick}); "
                f"available: {available}"
            )
        self._actions[:, seat] = actions
        state.acted = True
        state.silent, state.answered = False, True
        if waited_for is not None and seat in waited_for:  # it has answered, and nothing else has changed
            waited_for.remove(seat)
            self._waited_for = waited_for

    def mix(self, seat: int, answer: MixAnswer) -> None:
        """Seat `seat` answers a training step; if the step has been abandoned meanwhile, it goes on with the others.

        Raises SeatError if the seat is not playing, or the answer is not what was expected.
        """
        state = self._seats[seat]
        self._waited_for = None
        if not state.playing and state.events:  # as in `act`
            return
        if self._mixing is None or not state.playing:
            raise SeatError("no training step is on for this seat")
        try:
            expected = self._mixing.hear(seat, answer)
        except ValueError as error:
            raise SeatError(str(error)) from None
        if expected or state.silent:
            state.silent, state.answered = False, True
        if expected and isinstance(answer, MixHoldings):
            self._abandon_training(seat)

    def leave(self, seat: int) -> None:
        """Seat `seat` is gone. Those who have named it wait for it as for any seat that does not answer."""
        self._waited_for = None
        self._abandon_training(seat)
        state = self._seats[seat]
        state.pause(self._on)
        state.playing, state.answered, state.wanted, state.named = False, False, None, frozenset()
        state.events.clear()
        self._abandon_if_deserted()
        self._follow_most()
        if not any(s.playing or s.proposal for s in self._seats):
            for other in self._seats:
                other.silent = False

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

    # --- how it goes on ---------------------------------------------------------------------------------------

    @property
    def awaited(self) -> list[int]:
        """The seats that others are waiting for; empty while all wait for the backend, or nobody waits."""
        return list(self._waited_for or ()) if self.is_awaiting else []

    @property
    def is_awaiting(self) -> bool:
        """Whether there are seats that others are waiting for."""
        if self._busy:
            return False
        if self._waited_for is None:
            self._waited_for = self._find_awaited()
        return bool(self._waited_for)

    @property
    def ready(self) -> bool:
        """Whether every seat that counts has answered, so that a `turn` may be taken."""
        if self.is_awaiting or self._busy:
            return False
        return any(s.proposal if self._play is None else s.answered for s in self._seats)

    def hold_silent(self) -> list[int]:
        """Hold the awaited seats; return them."""
        held = self.awaited
        self.hold(held)
        return held

    def hold(self, held: Collection[int]) -> None:
        """Stop waiting for these seats. Each counts again as soon as it speaks."""
        self._waited_for = None
        for seat in held:
            state = self._seats[seat]
            state.silent = True
            state.pause(self._on)
        for seat in held:
            self._abandon_training(seat)
        self._abandon_if_deserted()

    def advance(self) -> None:
        """Take a turn, and do its work here and now. Call only while `ready`."""
        take(self.turn())

    def turn(self) -> Turn:
        """Begin a phase, continue training that is owed, or play one tick. Call only while `ready`.

        Yields the backend's work and is sent what it returned. A driver with a lock releases it for the work: seats may
        speak and leave meanwhile, and the arena stays busy. If the phase has been given up by then, its turn ends.
        """
        self._busy, self._waited_for = True, None
        try:
            if self._play is None:
                yield from self._begin()
            elif self._mixing is not None and self._play.phase.mixing and self._mixing.busy:
                self._train(self._mixing)
            else:
                yield from self._step()
        finally:
            self._busy = False

    def give_up(self, why: SeatError) -> None:
        """End the phase that is on without an end, and the wait of all that propose one: a turn has failed."""
        self._waited_for = None
        if self._play is not None:
            self._give_up(why)
        for state in self._seats:
            if state.proposal is not None:
                state.wanted = None
                state.events.append(why)

    @property
    def round_and_steps(self) -> tuple[int, int]:
        """The newest round, and the environment steps collected in it so far."""
        playing = self._play is not None and self._play.phase.kind is PhaseKind.COLLECT
        return self._round, self._collected + (self._play.steps if playing and self._play else 0)

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

    def _first_illegal(self, seat: int, actions: NDArray[np.uint8]) -> int | None:
        """Return the first slot of this seat's battles whose action in `actions` [E] is not available."""
        chosen, n_actions = actions.tobytes(), self.spec.n_actions
        if max(chosen) < n_actions:  # over bytes, for E is small: numpy takes three times as long
            available = self._available[:, seat].tobytes()
            if 0 not in map(available.__getitem__, map(operator.add, self._offsets, chosen)):
                return None
        known = np.minimum(actions, n_actions - 1)
        legal = self._available[self._slots, seat, known] & (known == actions)
        wrong = np.flatnonzero(self._on & self._seats[seat].takes_part & ~legal)
        return int(wrong[0]) if len(wrong) else None

    def _find_awaited(self) -> list[int]:
        if not any(s.answered or s.proposal for s in self._seats):
            return []
        # a seat that waits for a newer round than the one that is on has named no seat for this one
        named = frozenset[int]().union(*(s.named for s in self._seats if not (self._play and s.proposal)))
        return [i for i, s in enumerate(self._seats) if i in named and not (s.silent or s.answered or s.proposal)]

    @staticmethod
    def _wanted_by(seats: Iterable[_Seat]) -> list[Phase]:
        return [seat.wanted for seat in seats if seat.wanted is not None]

    @staticmethod
    def _joins(seat: int, phase: Phase, play: _Play) -> bool:
        """Whether a seat that proposes `phase` takes part in what is played.

        Its own may be another one: it has lost its stream, and cannot know how far the others have come.
        """
        if phase.common() == play.phase.common():
            play.backers.add(seat)
            return True
        return phase.round == play.phase.round and len(play.backers) > 1

    def _follow_most(self) -> None:
        """Give up the phase that is on if most want another; end the wait of seats whose rounds are left behind."""
        wanted = self._wanted_by(self._seats)
        if self._play is not None and outvotes(wanted, self._play.phase, len(self._play.backers)):
            self._give_up(given_up("most of the seats play another one"))
        for state in self._seats:
            if state.proposal is None:
                continue
            newer = overtaking(state.proposal, self._wanted_by(s for s in self._seats if s is not state))
            if newer is not None:
                self._turn_away(state, newer)

    @staticmethod
    def _turn_away(state: _Seat, newer: int) -> None:
        """Tell a seat that waits for a round that it is over."""
        state.wanted = None
        state.events.append(_stale(newer))

    def _ended_without(self, phase: Phase) -> _EndedPlay | None:
        """The first phase of a proposal's order that has ended further on than the proposing seat knows."""
        return next((e for e in self._ended if e.play.phase.of_order(phase) and e.standing > phase.standing), None)

    def _abandon_if_deserted(self) -> None:
        """Give up the phase that is on if no seat plays it any more."""
        if self._play is not None and not any(s.playing and not s.silent for s in self._seats):
            self._give_up(given_up("all its seats have left or were silent for too long"))

    def _give_up(self, why: SeatError) -> None:
        """End the phase that is on without an end."""
        self._play = None
        for i, seat in enumerate(self._seats):
            if seat.playing:
                self._abandon_training(i)
                seat.playing, seat.answered, seat.wanted = False, False, None
                seat.pause(self._on)
                seat.events.append(why)

    def _abandon_training(self, seat: int) -> None:
        """Abandon the training step that is on if `seat` takes part in it: it costs all one batch."""
        abandoned = None if self._mixing is None else self._mixing.abandon(seat)
        if abandoned is None:
            return
        seats, step = abandoned
        for other in map(self._seats.__getitem__, seats):
            other.answered = not other.silent  # they all had answered the tick before the step began
            other.events.append(MixAbandoned(step))

    def _begin(self) -> Turn:
        proposals = {i: s.proposal for i, s in enumerate(self._seats) if s.proposal is not None}
        phase = chosen(proposals.values())
        self._prepare_mixing(phase)  # first: it reads files
        self._play = _Play(phase, {i for i, each in proposals.items() if each.common() == phase.common()})
        self._ended = [ended for ended in self._ended if ended.play.phase.of_order(phase)]
        self._round, self._collected = phase.round, phase.standing.steps
        self._on[:] = False
        for seat in self._seats:
            if seat.proposal is not None and seat.proposal.round < phase.round:
                self._turn_away(seat, phase.round)
            seat.playing = seat.proposal is not None and seat.proposal.round == phase.round
            seat.pause(self._on)
            seat.answered, seat.missed = False, 0
            if seat.playing:
                seat.events.append(Seated(phase))
        nothing = np.zeros(self.battles, np.bool_)
        before = StepResult(np.zeros(self.battles, np.float32), nothing, nothing, nothing, nothing)
        yield from self._deal(self._play, before)

    def _prepare_mixing(self, phase: Phase) -> None:
        """Have a mixer if the phase wants one: that of the phase before it if it is of the same run and settings."""
        order = phase.mixing
        if order is not None and (self._mixing is None or not self._mixing.takes(order)):
            self._mixing = Mixing(order, phase, self.spec, self.battles, self._mixers)

    def _train(self, mixing: Mixing) -> None:
        events = mixing.go_on(self._present())
        self.played.mixing_steps += any(isinstance(event, MixScale) for event in events.values())
        for seat, event in events.items():
            self._seats[seat].events.append(event)
            self._seats[seat].answered = not awaits_answer(event)

    def _present(self) -> list[int]:
        return [i for i, seat in enumerate(self._seats) if seat.playing and not seat.silent]

    def _step(self) -> Turn:
        play = self._play
        assert play is not None
        result: StepResult = yield functools.partial(self._backend.step, self._joint_actions())
        if self._play is not play:
            return
        if np.count_nonzero(self._on) < self.battles:
            # The backend may still have battles on of a phase that was given up.
            result = StepResult(result.reward * self._on, *(flags & self._on for flags in result[1:]))
        self._count_step(play, result)
        self._ledger.see(result.reward, self._available)
        yield from self._deal(play, result)

    def _count_step(self, play: _Play, result: StepResult) -> None:
        """Count a step of the battles that are on, and take battles that are void now out of the phase's figures."""
        self._steps += self._on
        self._returns += result.reward
        play.steps += int(np.count_nonzero(self._on))
        play.return_sum += float(result.reward.sum(dtype=np.float64))
        if void := int(np.count_nonzero(result.void)):
            play.steps -= int(self._steps[result.void].sum())
            play.return_sum -= float(self._returns[result.void].sum())
            play.void += void

    def _joint_actions(self) -> NDArray[np.uint8]:
        """[E, N]: what the seats answered; a seat without an answer stops, or does nothing when it is dead."""
        acted = self._on[:, None] & self._take_part & np.array([seat.acted for seat in self._seats])
        if np.count_nonzero(acted) == acted.size:
            return self._actions.copy()
        held = np.where(self._available[:, :, ACTION_STOP], ACTION_STOP, ACTION_NO_OP)
        return np.where(acted, self._actions, held).astype(np.uint8)

    def _deal(self, play: _Play, result: StepResult) -> Turn:
        """Begin battles in the free slots, then tell every seat what it sees, or that the phase is over."""
        ended = self._on & (result.terminated | result.truncated)
        if np.count_nonzero(ended):
            counted = ended & ~result.void
            self._count_ended(play, result, counted)
        else:
            counted = ended = self._none
        fresh, seeds = self._begin_battles(play)
        shown = self._on | fresh
        self._on = (self._on & ~ended) | fresh
        if not np.count_nonzero(shown):
            self._end(play)
            return
        observation = yield functools.partial(self._look, fresh, seeds)
        if self._play is not play:
            return
        play.tick += 1
        self.played.ticks += 1
        self._available = observation.available
        if self._mixing is not None and play.phase.mixing:
            self._store(self._mixing, observation.state, result, fresh, shown, counted)
        begun = int(np.count_nonzero(fresh))
        present = [seat.playing and not seat.silent for seat in self._seats]
        if begun:
            self._take_part |= fresh[:, None] & np.array(present)
        tick = Tick(
            play.tick,
            play.steps,
            observation.obs,
            observation.available,
            result.reward,
            _flags(result, ended),
            self._ids.copy(),
        )
        for i, seat in enumerate(self._seats):
            if present[i]:
                seat.answered, seat.acted = False, False
                seat.events.append(_seen_by(i, tick, shown & seat.takes_part))
            else:
                seat.missed += begun

    def _begin_battles(self, play: _Play) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Let battles begin in the free slots; return those [E] and the seeds [E]."""
        fresh, seeds = self._none, np.zeros(self.battles, np.uint64)
        if np.count_nonzero(self._on) < self.battles:
            fresh = self._free_slots(play)
            for slot in np.flatnonzero(fresh):
                seeds[slot] = battle_seed(play.phase, play.begun)
                self._ids[slot] = battle_id(play.phase, play.begun)
                play.begun += 1
            self._ledger.begin(fresh)
            self._steps[fresh], self._returns[fresh] = 0, 0.0
        return fresh, seeds

    def _look(self, fresh: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> Observation:
        """Begin the `fresh` [E] battles and observe them all: a turn's work, done without the driver's lock."""
        if np.count_nonzero(fresh):
            self._backend.reset(fresh, seeds)
        return self._backend.observe()

    def _count_ended(self, play: _Play, result: StepResult, counted: NDArray[np.bool_]) -> None:
        """Count the battles that have ended on this tick, `counted` [E], and those that the backend has lost."""
        if play.phase.kind is PhaseKind.COLLECT:
            for i in self._present():
                self._ledger.end(i, counted & self._seats[i].takes_part)
        battles, won = int(counted.sum()), int((counted & result.won).sum())
        play.battles += battles
        play.won += won
        lost = int((counted & result.terminated & ~result.won).sum())
        self.played.add(won, lost, battles - won - lost, int(result.void.sum()))

    def _store(
        self,
        mixing: Mixing,
        state: NDArray[np.float32],
        result: StepResult,
        fresh: NDArray[np.bool_],
        shown: NDArray[np.bool_],
        ended: NDArray[np.bool_],
    ) -> None:
        """Let the mixer see a tick, and which seats will have stored the battles that ended on it."""
        mixing.see(state, result.reward, fresh, shown)
        present = self._present()
        for slot in np.flatnonzero(ended):
            holders = {seat for seat in present if self._seats[seat].takes_part[slot]}
            mixing.ended(int(slot), int(self._ids[slot]), bool(result.terminated[slot]), holders, present)

    def _free_slots(self, play: _Play) -> NDArray[np.bool_]:
        """[E]: the slots, lowest first, in which the phase's bounds let a battle begin."""
        free = ~self._on
        if play.phase.steps and play.steps >= play.phase.steps:
            free[:] = False
        else:
            bound = min((play.phase.battles or MAX_PHASE_BATTLES) + play.void, MAX_PHASE_BATTLES)
            free[np.flatnonzero(free)[bound - play.begun :]] = False
        return free

    def _end(self, play: _Play) -> None:
        collected = play.phase.kind is PhaseKind.COLLECT
        before = play.phase.standing
        standing = dataclasses.replace(
            before,
            index=before.index + 1,
            battles=before.battles + (play.battles if collected else 0),
            steps=before.steps + (play.steps if collected else 0),
            evaluations=before.evaluations + (not collected),
        )
        self._collected = standing.steps
        if self._mixing is not None and play.phase.mixing:
            self._mixing.keep(play.phase.round)
        self._play = None
        ended = _EndedPlay(play, standing, [seat.missed for seat in self._seats])
        self._ended.append(ended)
        for i, seat in enumerate(self._seats):
            if seat.playing:
                seat.events.append(self._phase_end(ended, i))
                seat.wanted = None
            seat.playing, seat.answered = False, False

    def _phase_end(self, ended: _EndedPlay, seat: int) -> PhaseEnd:
        play = ended.play
        return PhaseEnd(
            standing=ended.standing,
            battles=play.battles,
            steps=play.steps,
            won=play.won,
            return_sum=play.return_sum,
            missed=ended.missed[seat],
            earned=self._ledger.balance(seat, play.phase.round),
        )


def _flags(result: StepResult, ended: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """[E]: how the battles that have `ended` [E] did, as `Ended`."""
    if not np.count_nonzero(ended):
        return np.zeros(len(ended), np.uint8)
    flags = (
        result.terminated * np.uint8(Ended.TERMINATED)
        + result.truncated * np.uint8(Ended.TRUNCATED)
        + result.won * np.uint8(Ended.WON)
        + result.void * np.uint8(Ended.VOID)
    )
    return flags.astype(np.uint8) * ended


def _seen_by(seat: int, tick: Tick, mine: NDArray[np.bool_]) -> Tick:
    """Return what one seat sees of a tick that has the observations and actions of all [E, N, ...]; `mine` is [E]."""
    observations, available = tick.observations[:, seat], tick.available[:, seat]
    rewards, ended, battles = tick.rewards, tick.ended, tick.battles
    if np.count_nonzero(mine) < len(mine):
        observations, available = observations * mine[:, None], available & mine[:, None]
        rewards, ended, battles = rewards * mine, ended * mine, battles * mine
    return Tick(tick.tick, tick.steps, observations, available, rewards, ended, battles)


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
