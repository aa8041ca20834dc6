"""Hosted arenas: where the calls of seats meet at an arena, on an event loop and by its clock. No gRPC here."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import logging
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version

from envproxy import battle_pb2 as pb
from envproxy.arena import Arena, take
from envproxy.arena_status import ArenaStatus, shared_statuses
from envproxy.attestation import attest
from envproxy.backend import BackendFailedError
from envproxy.counters import ArenaCounters, Traffic, WaitHistogram
from envproxy.lateness import Lateness
from envproxy.protocol import ArenaEvent, Phase, PhaseEnd
from envproxy.rules import SMAC_RULES, Rules
from envproxy.seats import LateError, NoBattlesError, TakenSeatError, given_up
from operations.protocol import PROTOCOL
from operations.simulator import simulator_of

log = logging.getLogger("envproxy")


def describe(name: str, backend: str, arena: Arena, rules: Rules) -> pb.ArenaDescription:
    """Return what everyone who meets the arena compares with what they expect."""
    spec = arena.spec
    round_, steps = arena.round_and_steps
    return pb.ArenaDescription(
        arena=name,
        map=spec.name,
        backend=backend,
        protocol=PROTOCOL,
        simulator=simulator_of(backend),
        version=version("pps-qmix"),
        battles=arena.battles,
        n_agents=spec.n_agents,
        n_actions=spec.n_actions,
        obs_size=spec.obs_size,
        state_size=spec.state_size,
        episode_limit=spec.episode_limit,
        round=round_,
        steps=steps,
        rules=rules.text(),
        provenance=arena.provenance,
        unit_types=spec.unit_types,
    )


class HostedArena:
    """An arena with its clock and its seats' tokens. The loop that it is `attach`ed to is the only one to call it."""

    def __init__(
        self,
        name: str,
        backend: str,
        arena: Arena,
        tokens: Sequence[str],
        seat_timeout: float,
        seat_budget: float = 0.0,
        rules: Rules = SMAC_RULES,
        attest_key: bytes | None = None,
        status: ArenaStatus | None = None,
    ) -> None:
        """`attest_key` signs what seats have earned; None: it is not attested. `status` shows other processes
        how far the arena is.

        `seat_timeout` is how long the seats have for an answer, `seat_budget` for how long one of them may make the
        others wait in a round, in seconds; 0: without end.
        Raises ValueError if there is not one token for each seat.
        """
        if len(tokens) != arena.spec.n_agents:
            raise ValueError(f"{len(tokens)} tokens for {arena.spec.n_agents} seats of arena {name!r}")
        self.name = name
        self.tokens = list(tokens)
        self.battles = arena.battles
        self.status = status if status is not None else shared_statuses(1)[0]
        self._description = describe(name, backend, arena, rules)
        self._attest_key = attest_key
        self._arena = arena
        self._seat_timeout = seat_timeout
        self._seat_budget = seat_budget
        self._lateness = Lateness(arena.spec.n_agents, seat_budget)
        self._waiting: dict[int, asyncio.Future[None]] = {}  # by seat: done when there may be an event for it
        self._taken: set[int] = set()
        self._waits = WaitHistogram()
        self._held = [0] * arena.spec.n_agents  # how often a seat was silent for too long
        self.traffic = [Traffic() for _ in range(arena.spec.n_agents)]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None  # fires when the seats' time may be over, or before
        self._timer_at = 0.0  # by the loop's clock
        self._waiting_since = 0.0
        self._turns: asyncio.Task[None] | None = None  # takes turns of a backend that is slow, whose work is done here:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"arena {name}")

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the arena play on a loop."""
        self._loop = loop
        self._waiting_since = loop.time()
        self.status.heartbeat()

    def description(self) -> pb.ArenaDescription:
        """Return what the arena plays and how far it is, in whatever process it is played."""
        self._description.round, self._description.steps = self.status.round_and_steps
        return self._description

    @contextmanager
    def seat(self, seat: int) -> Iterator[None]:
        """Hold a seat. Raises TakenSeatError if another client holds it."""
        if seat in self._taken:
            raise TakenSeatError(f"seat {seat} of arena {self.name!r} is taken; one client plays a seat at a time")
        self._taken.add(seat)
        log.info("arena %s: seat %d taken", self.name, seat, extra={"arena": self.name, "seat": seat})
        try:
            yield
        finally:
            self._taken.discard(seat)
            self._arena.leave(seat)
            self._advance_if_ready()  # the others may have waited for this seat alone
            log.info("arena %s: seat %d left", self.name, seat, extra={"arena": self.name, "seat": seat})

    def propose(self, seat: int, phase: Phase) -> None:
        """Pass a seat's proposal to the arena. Raises SeatError."""
        self._check_budget(seat, phase.round)
        self._pass_on(seat, lambda arena: arena.propose(seat, phase))
        self._wake()  # seats that still wait for an older round have been told that it is over

    def tell(self, seat: int, speak: Callable[[Arena], None]) -> None:
        """Pass a seat's answer to the arena. Raises SeatError."""
        if self._seat_budget:
            self._check_budget(seat, self._arena.round_and_steps[0])
        self._pass_on(seat, speak)

    async def next_event(self, seat: int) -> ArenaEvent:
        """Wait for what the arena says to a seat. Raises SeatError."""
        while (event := self._arena.next_event(seat)) is None:
            assert self._loop is not None
            self._waiting[seat] = waiting = self._loop.create_future()
            try:
                await waiting
            finally:
                self._waiting.pop(seat, None)
        return self._attested(event)

    def check_clock(self) -> None:
        """Hold the seats whose time is over, and record that the process is alive."""
        self.status.heartbeat()
        self._hold_late()

    def counters(self) -> ArenaCounters:
        """Return all counters, as they are now."""
        round_, steps = self._arena.round_and_steps
        return ArenaCounters(
            arena=self.name,
            round=round_,
            steps=steps,
            played=copy.copy(self._arena.played),
            restarts=self._arena.restarts,
            waits=copy.deepcopy(self._waits),
            taken=frozenset(self._taken),
            held=tuple(self._held),
            traffic=tuple(copy.copy(each) for each in self.traffic),
        )

    def close(self) -> None:
        """End what plays the battles; any thread may call it, also while they are played."""
        self._arena.close()
        self._worker.shutdown(wait=False)

    def _pass_on(self, seat: int, speak: Callable[[Arena], None]) -> None:
        arena = self._arena
        awaited = arena.awaited if self._seat_budget else ()
        was_awaiting = arena.is_awaiting
        speak(arena)
        if not was_awaiting:  # no seat was awaited until now: the seats' time starts here
            self._begin_to_wait()
        if self._seat_budget:
            self._count_lateness(seat, awaited)
        if arena.ready:
            self._advance()

    def _attested(self, event: ArenaEvent) -> ArenaEvent:
        if self._attest_key is None or not isinstance(event, PhaseEnd) or event.earned is None:
            return event
        return dataclasses.replace(event, attested=attest(self._attest_key, self.name, event.earned))

    # --- turns ------------------------------------------------------------------------------------------------

    def _advance_if_ready(self) -> None:
        if self._arena.ready:
            self._advance()
        else:
            self._wake()

    def _advance(self) -> None:
        """Take turns as long as the arena is ready: now, or in a task where the backend is slow."""
        assert self._loop is not None
        self._waits.add(self._loop.time() - self._waiting_since)
        if self._arena.quick:
            with self._given_up_if_it_fails():
                while self._arena.ready:
                    take(self._arena.turn())
            self._turned()
        else:
            self._turns = self._loop.create_task(self._take_turns())

    async def _take_turns(self) -> None:
        with self._given_up_if_it_fails():
            while self._arena.ready:
                await self._take_turn()
        self._turned()

    async def _take_turn(self) -> None:
        """Take a turn whose work is done in a thread: a game takes a minute to start, and seats may leave meanwhile."""
        assert self._loop is not None
        turn = self._arena.turn()
        try:
            work = next(turn)
            while True:
                work = turn.send(await self._loop.run_in_executor(self._worker, work))
        except StopIteration:
            return
        finally:
            turn.close()

    @contextmanager
    def _given_up_if_it_fails(self) -> Iterator[None]:
        """Give the phase up if a turn fails: of the backend or of a mixer; the seats have no part in it."""
        about = {"arena": self.name}
        try:
            yield
        except BackendFailedError as error:
            log.error("arena %s: the phase is given up: %s", self.name, error, extra=about)
            self._arena.give_up(NoBattlesError(str(error)))
        except Exception as error:
            log.exception("arena %s: the phase is given up", self.name, extra=about)
            self._arena.give_up(given_up(f"the env proxy failed ({error!r}); its log says more"))

    def _turned(self) -> None:
        round_, steps = self._arena.round_and_steps
        self.status.write(round_, steps)
        self._lateness.begin(round_)
        self._begin_to_wait()
        self._wake()

    def _wake(self) -> None:
        """Let the waiting seats check for events."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)

    # --- the clock --------------------------------------------------------------------------------------------

    def _begin_to_wait(self) -> None:
        assert self._loop is not None
        self._waiting_since = self._loop.time()
        if self._timer is None:
            self._check_at(self._waiting_since + self._seat_timeout)

    def _time_is_over(self) -> None:
        self._timer = None
        self._hold_late()

    def _hold_late(self) -> None:
        """Hold the awaited seats if their time is over; else check again when it is."""
        assert self._loop is not None
        awaited = self._arena.awaited
        if not awaited:
            return
        now, timeout = self._loop.time(), self._waiting_since + self._seat_timeout
        if now >= timeout:
            held, why = awaited, f"was silent for {self._seat_timeout:.0f} s; the others play on"
        else:
            held = self._lateness.end_late(awaited, now)
            why = f"has made the others wait for {self._seat_budget:g} s in this round; they play it without it"
        if not held:
            self._check_at(min(timeout, self._lateness.deadline(awaited)))
            return
        self._arena.hold(held)
        for seat in held:
            self._held[seat] += 1
            log.warning("arena %s: seat %d %s", *(self.name, seat, why), extra={"arena": self.name, "seat": seat})
        self._advance_if_ready()
        self._check_at(self._loop.time() + self._seat_timeout)

    def _count_lateness(self, seat: int, waited_for: Collection[int]) -> None:
        assert self._loop is not None
        if seat in waited_for:
            self._lateness.answered(seat, self._arena.awaited, self._loop.time())
        self._check_at(self._lateness.deadline(self._arena.awaited))

    def _check_budget(self, seat: int, round_: int) -> None:
        """Raises LateError."""
        if self._lateness.is_over(seat, round_):
            raise LateError(
                f"the others have waited for this seat for {self._seat_budget:g} s in round {round_}; "
                "it may play again in the next round"
            )

    def _check_at(self, when: float) -> None:
        """Check the clock at `when`, or before."""
        assert self._loop is not None
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
            self._timer = None
        if when < math.inf:
            self._timer, self._timer_at = self._loop.call_at(when, self._time_is_over), when
