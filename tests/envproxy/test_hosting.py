"""An arena as the env proxy hosts it, without gRPC; `test_service.py` has the rest, with real streams."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import envproxy.mixing
from envproxy.arena import Arena, GivenUpError, NoBattlesError
from envproxy.backend import BackendFailedError, StepResult
from envproxy.hosting import HostedArena
from envproxy.protocol import PhaseEnd, Seated, Tick
from tests.envproxy.drill import Drill, collect, eager, mix_order


def test_every_seat_needs_a_token():
    with pytest.raises(ValueError, match="2 tokens for 3 seats of arena 'main'"):
        HostedArena("main", "drill", Arena(Drill(2, 3, lambda _: 3)), ["a", "b"], 1.0)


class Broken(Drill):
    """A drill that cannot be stepped until it is `whole`."""

    whole = False

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        if not self.whole:
            raise MemoryError("no room")
        return super().step(actions)


def test_a_backend_that_fails_costs_all_the_phase_and_nobody_waits_for_ever():
    backend = Broken(1, 2, lambda _: 1)
    hosted = HostedArena("main", "drill", Arena(backend), ["a", "b"], 60.0)
    phase = collect(battles=1)

    def play() -> None:
        for seat in (0, 1):
            hosted.propose(seat, phase)
        for seat in (0, 1):
            assert hosted.next_event(seat, lambda: True) == Seated(phase)
            tick = hosted.next_event(seat, lambda: True)
            assert isinstance(tick, Tick)
            hosted.tell(lambda arena, seat=seat, tick=tick: arena.act(seat, tick.tick, eager(tick)))

    play()
    for seat in (0, 1):
        with pytest.raises(GivenUpError, match=r"the env proxy failed \(MemoryError\('no room'\)\)"):
            hosted.next_event(seat, lambda: True)
    backend.whole = True
    play()
    assert isinstance(hosted.next_event(0, lambda: True), Tick)


def test_a_phase_that_cannot_begin_is_given_up(monkeypatch):
    def broken(*_: object) -> None:
        raise ImportError("no torch here")

    monkeypatch.setattr(envproxy.mixing, "_mixer", broken)
    hosted = HostedArena("main", "drill", Arena(Drill(1, 2)), ["a", "b"], 60.0)
    for seat in (0, 1):
        hosted.propose(seat, replace(collect(battles=1), mixing=mix_order()))
    for seat in (0, 1):
        with pytest.raises(GivenUpError, match="no torch here"):
            hosted.next_event(seat, lambda: True)


class Slow(Drill):
    """A drill whose battles begin, and whose steps are played, when the test says so."""

    def __init__(self, n_agents: int = 2) -> None:
        super().__init__(1, n_agents, lambda _: 1)
        self.working, self.may_begin, self.may_step = threading.Event(), threading.Event(), threading.Event()

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        self.working.set()
        assert self.may_begin.wait(60.0)
        self.working.clear()
        super().reset(mask, seeds)

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        self.working.set()
        assert self.may_step.wait(60.0)
        return super().step(actions)


class Beginning:
    """A hosted arena of two seats, whose first battle is being begun by the thread of the second one."""

    def __init__(self) -> None:
        self.backend = Slow()
        self.hosted = HostedArena("main", "drill", Arena(self.backend), ["a", "b"], 60.0)
        self.phase = collect(battles=1)
        self.hosted.propose(0, self.phase)
        self.thread = threading.Thread(target=self.hosted.propose, args=(1, self.phase))
        self.thread.start()
        assert self.backend.working.wait(60.0)

    def hear(self, seat: int) -> object:
        return self.hosted.next_event(seat, lambda: True)

    def act(self, seat: int, tick: Tick) -> None:
        self.hosted.tell(lambda arena: arena.act(seat, tick.tick, eager(tick)))

    def answer_first_ticks(self) -> list[Tick]:
        """Let both seats hear that the phase is on and its first tick, and answer that."""
        ticks = []
        for seat in (0, 1):
            assert self.hear(seat) == Seated(self.phase)
            tick = self.hear(seat)
            assert isinstance(tick, Tick)
            self.act(seat, tick)
            ticks.append(tick)
        return ticks

    def let_begin(self) -> None:
        self.backend.may_begin.set()
        self.thread.join(60.0)
        assert not self.thread.is_alive()


@pytest.fixture
def beginning() -> Iterator[Beginning]:
    begun = Beginning()
    yield begun
    begun.backend.may_begin.set()
    begun.backend.may_step.set()
    begun.thread.join(60.0)


def test_an_arena_answers_while_its_backend_begins_a_battle(beginning: Beginning):
    hosted = beginning.hosted
    assert hosted.description().map == "drill"
    assert hosted.figures().played.ticks == 0
    hosted.close()
    assert beginning.backend.closed == 1
    assert beginning.backend.working.is_set(), "it still begins"


def test_seats_play_on_when_the_battle_has_begun(beginning: Beginning):
    beginning.let_begin()
    beginning.backend.may_step.set()
    beginning.answer_first_ticks()
    assert isinstance(beginning.hear(0), Tick)


def test_a_seat_may_leave_while_a_battle_begins(beginning: Beginning):
    with beginning.hosted.seat(0):
        pass  # joined, and gone
    beginning.let_begin()
    assert beginning.hear(1) == Seated(beginning.phase)
    assert isinstance(beginning.hear(1), Tick)


def test_a_phase_that_all_leave_while_its_battle_begins_is_not_played(beginning: Beginning):
    for seat in (0, 1):
        with beginning.hosted.seat(seat):
            pass
    beginning.let_begin()
    assert beginning.hosted.figures().played.ticks == 0
    beginning.backend.may_step.set()
    for seat in (0, 1):
        beginning.hosted.propose(seat, beginning.phase)
    beginning.answer_first_ticks()
    assert isinstance(beginning.hear(0), Tick)


def test_a_seat_that_comes_while_a_battle_begins_plays_it_from_its_beginning(beginning: Beginning):
    with beginning.hosted.seat(0):
        pass
    beginning.hosted.propose(0, beginning.phase)
    beginning.let_begin()
    beginning.backend.may_step.set()
    assert all(tick.battles.all() for tick in beginning.answer_first_ticks())
    for seat in (0, 1):
        last = beginning.hear(seat)
        assert isinstance(last, Tick)
        beginning.act(seat, last)
    for seat in (0, 1):
        end = beginning.hear(seat)
        assert isinstance(end, PhaseEnd)
        assert (end.battles, end.missed) == (1, 0)


class Unable(Drill):
    """A drill that cannot begin."""

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        raise BackendFailedError("StarCraft II did not start: no licence")


def test_a_backend_that_cannot_play_tells_all_seats_in_its_own_words(caplog):
    hosted = HostedArena("main", "drill", Arena(Unable(1, 2)), ["a", "b"], 60.0)
    for seat in (0, 1):
        hosted.propose(seat, collect(battles=1))
    for seat in (0, 1):
        assert isinstance(hosted.next_event(seat, lambda: True), Seated)
        with pytest.raises(NoBattlesError, match=r"^StarCraft II did not start: no licence$"):
            hosted.next_event(seat, lambda: True)
    assert "Traceback" not in caplog.text
