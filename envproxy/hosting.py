"""Hosted arenas: where seats' threads meet at an arena, under its lock and by its clock. No gRPC here."""

from __future__ import annotations

import copy
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from envproxy import battle_pb2 as pb
from envproxy.arena import Arena, NoBattlesError, TakenSeatError, Work, given_up, take
from envproxy.attestation import attest
from envproxy.backend import BackendFailedError
from envproxy.protocol import ArenaEvent, Phase, PhaseEnd
from envproxy.rules import SMAC_RULES, Rules
from envproxy.tally import ArenaFigures, Traffic, Waits

log = logging.getLogger("envproxy")


def describe(name: str, backend: str, arena: Arena, rules: Rules) -> pb.ArenaDescription:
    """Return what everyone who meets the arena compares with what they expect."""
    spec = arena.spec
    round_, steps = arena.round_and_steps
    return pb.ArenaDescription(
        arena=name,
        map=spec.name,
        backend=backend,
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
    )


class HostedArena:
    """An arena with its lock, its clock, its seats' tokens. Every method may be called from any thread."""

    def __init__(
        self,
        name: str,
        backend: str,
        arena: Arena,
        tokens: Sequence[str],
        seat_timeout: float,
        rules: Rules = SMAC_RULES,
        attest_key: bytes | None = None,
    ) -> None:
        """`attest_key` signs what seats have earned; None: nothing is said of it.

        Raises ValueError if there is not one token for each seat.
        """
        if len(tokens) != arena.spec.n_agents:
            raise ValueError(f"{len(tokens)} tokens for {arena.spec.n_agents} seats of arena {name!r}")
        self.name = name
        self.tokens = list(tokens)
        self.battles = arena.battles
        self._backend = backend
        self._rules = rules
        self._attest_key = attest_key
        self._arena = arena
        self._seat_timeout = seat_timeout
        self._changed = threading.Condition()
        self._taken: set[int] = set()
        self._waits = Waits()
        self._held = [0] * arena.spec.n_agents  # how often a seat was silent for too long
        self.traffic = [Traffic() for _ in range(arena.spec.n_agents)]  # each its seat's thread's alone
        self._waiting_since = time.monotonic()

    def description(self) -> pb.ArenaDescription:
        with self._changed:
            return describe(self.name, self._backend, self._arena, self._rules)

    @contextmanager
    def seat(self, seat: int) -> Iterator[None]:
        """Hold a seat. Raises TakenSeatError if somebody else does."""
        with self._changed:
            if seat in self._taken:
                raise TakenSeatError(f"seat {seat} of arena {self.name!r} is taken; one client plays a seat at a time")
            self._taken.add(seat)
        log.info("arena %s: seat %d taken", self.name, seat, extra={"arena": self.name, "seat": seat})
        try:
            yield
        finally:
            with self._changed:
                self._taken.discard(seat)
                self._arena.leave(seat)
                self._go_on()  # nobody may have waited for it but for itself
            log.info("arena %s: seat %d left", self.name, seat, extra={"arena": self.name, "seat": seat})

    def propose(self, seat: int, phase: Phase) -> None:
        """Pass a seat's proposal to the arena. Raises SeatError."""
        self.tell(lambda arena: arena.propose(seat, phase))
        self.wake()  # those who still wait for an older round have been told that it is over

    def tell(self, speak: Callable[[Arena], None]) -> None:
        """Pass a seat's word to the arena. Raises SeatError."""
        with self._changed:
            waited_for = self._arena.awaited
            speak(self._arena)
            if not waited_for:  # nobody waited until now: the seats' time starts here
                self._waiting_since = time.monotonic()
            if self._arena.ready:
                self._advance()

    def next_event(self, seat: int, alive: Callable[[], bool]) -> ArenaEvent | None:
        """Wait for what the arena says to a seat; None once `alive` is False. Raises SeatError."""
        with self._changed:
            while alive():
                event = self._arena.next_event(seat)
                if event is not None:
                    return self._attested(event)
                left = self._waiting_since + self._seat_timeout - time.monotonic()
                if not self._arena.awaited:
                    self._changed.wait(self._seat_timeout)
                elif left > 0:
                    self._changed.wait(left)
                else:
                    for silent in self._arena.hold_silent():
                        self._held[silent] += 1
                        log.warning(
                            "arena %s: seat %d was silent for %.0f s; the others play on",
                            *(self.name, silent, self._seat_timeout),
                            extra={"arena": self.name, "seat": silent},
                        )
                    self._go_on()
        return None

    def wake(self) -> None:
        """Let every waiting thread look again: for what it is told, and whether its client is still there."""
        with self._changed:
            self._changed.notify_all()

    def figures(self) -> ArenaFigures:
        """Return what there is to count, as it is now."""
        with self._changed:
            round_, steps = self._arena.round_and_steps
            return ArenaFigures(
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
        self._arena.close()  # without the lock: a backend closes while it works

    def _attested(self, event: ArenaEvent) -> ArenaEvent:
        if self._attest_key is None or not isinstance(event, PhaseEnd) or event.earned is None:
            return event
        return dataclasses.replace(event, attested=attest(self._attest_key, self.name, event.earned))

    def _go_on(self) -> None:
        if self._arena.ready:
            self._advance()
        else:
            self._changed.notify_all()

    def _advance(self) -> None:
        self._waits.add(time.monotonic() - self._waiting_since)
        about = {"arena": self.name}
        try:
            while self._arena.ready:
                take(self._arena.turn(), self._work)
        except BackendFailedError as error:
            log.error("arena %s: the phase is given up: %s", self.name, error, extra=about)
            self._arena.give_up(NoBattlesError(str(error)))
        except Exception as error:  # of the backend or of a mixer: the seat that spoke last has no part in it
            log.exception("arena %s: the phase is given up", self.name, extra=about)
            self._arena.give_up(given_up(f"the env proxy failed ({error!r}); its log says more"))
        self._waiting_since = time.monotonic()
        self._changed.notify_all()

    def _work(self, work: Work) -> Any:
        """Do a turn's work without the lock: a game takes a minute to start, and others want to know how we are."""
        self._changed.release()
        try:
            return work()
        finally:
            self._changed.acquire()
