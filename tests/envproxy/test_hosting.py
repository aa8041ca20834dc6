"""An arena as the env proxy hosts it, without gRPC; `test_service.py` has the rest, with real streams."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import envproxy.mixing
from envproxy.arena import Arena
from envproxy.backend import BackendFailedError, StepResult
from envproxy.hosting import HostedArena
from envproxy.protocol import Phase, PhaseEnd, Seated, Tick
from envproxy.seats import GivenUpError, NoBattlesError
from tests.envproxy.drill import Drill, collect, eager, mix_order
from tests.waiting import WAIT_LIMIT


def test_every_seat_needs_a_token() -> None:
    with pytest.raises(ValueError, match="2 tokens for 3 seats of arena 'main'"):
        HostedArena("main", "drill", Arena(Drill(2, 3, lambda _: 3)), ["a", "b"], 1.0)


class Broken(Drill):
    """A drill that cannot be stepped until it is `whole`."""

    whole = False

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        if not self.whole:
            raise MemoryError("no room")
        return super().step(actions)


LIMIT = WAIT_LIMIT  # seconds after which a wait fails a test


def hosted(backend: Drill) -> HostedArena:
    """Return two seats' arena on the loop that runs."""
    arena = HostedArena("main", "drill", Arena(backend), ["a", "b"], LIMIT)
    arena.attach(asyncio.get_running_loop())
    return arena


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), LIMIT))


def act(arena: HostedArena, seat: int, tick: Tick) -> None:
    arena.tell(seat, lambda it: it.act(seat, tick.tick, eager(tick)))


async def hear_first_tick(arena: HostedArena, seat: int, phase: Phase) -> Tick:
    assert await arena.next_event(seat) == Seated(phase)
    tick = await arena.next_event(seat)
    assert isinstance(tick, Tick)
    return tick


def test_a_backend_that_fails_costs_all_the_phase_and_no_seat_waits_for_ever() -> None:
    async def test() -> None:
        backend = Broken(1, 2, lambda _: 1)
        arena, phase = hosted(backend), collect(battles=1)

        async def play() -> None:
            for seat in (0, 1):
                arena.propose(seat, phase)
            for seat in (0, 1):
                act(arena, seat, await hear_first_tick(arena, seat, phase))

        await play()
        for seat in (0, 1):
            with pytest.raises(GivenUpError, match=r"the env proxy failed \(MemoryError\('no room'\)\)"):
                await arena.next_event(seat)
        backend.whole = True
        await play()
        assert isinstance(await arena.next_event(0), Tick)

    run(test)


def test_a_phase_that_cannot_begin_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ImportError("no torch here")

    monkeypatch.setattr(envproxy.mixing, "_mixer", broken)

    async def test() -> None:
        arena = hosted(Drill(1, 2))
        for seat in (0, 1):
            arena.propose(seat, replace(collect(battles=1), mixing=mix_order()))
        for seat in (0, 1):
            with pytest.raises(GivenUpError, match="no torch here"):
                await arena.next_event(seat)

    run(test)


class Slow(Drill):
    """A drill whose battles begin, and whose steps are played, when the test says so."""

    def __init__(self, n_agents: int = 2) -> None:
        super().__init__(1, n_agents, lambda _: 1)
        self.quick = False
        self.working, self.may_begin, self.may_step = threading.Event(), threading.Event(), threading.Event()

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        self.working.set()
        assert self.may_begin.wait(LIMIT)
        self.working.clear()
        super().reset(mask, seeds)

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        self.working.set()
        assert self.may_step.wait(LIMIT)
        return super().step(actions)


class Beginning:
    """A hosted arena of two seats whose first battle is being begun."""

    def __init__(self) -> None:
        self.backend = Slow()
        self.hosted = hosted(self.backend)
        self.phase = collect(battles=1)

    async def begin(self) -> None:
        for seat in (0, 1):
            self.hosted.propose(seat, self.phase)
        await asyncio.to_thread(self.backend.working.wait, LIMIT)

    async def answer_first_ticks(self) -> list[Tick]:
        """Let both seats hear that the phase is on and its first tick, and answer that."""
        ticks = []
        for seat in (0, 1):
            ticks.append(await hear_first_tick(self.hosted, seat, self.phase))
            act(self.hosted, seat, ticks[-1])
        return ticks


def while_a_battle_begins(test: Callable[[Beginning], Awaitable[None]]) -> None:
    async def begin() -> None:
        begun = Beginning()
        try:
            await begun.begin()
            await test(begun)
        finally:
            begun.backend.may_begin.set()
            begun.backend.may_step.set()
            begun.hosted.close()

    run(begin)


def test_an_arena_answers_while_its_backend_begins_a_battle() -> None:
    async def test(beginning: Beginning) -> None:
        arena = beginning.hosted
        assert arena.description().map == "drill"
        assert arena.counters().played.ticks == 0
        arena.close()
        assert beginning.backend.closed == 1
        assert beginning.backend.working.is_set(), "it still begins"

    while_a_battle_begins(test)


def test_seats_play_on_when_the_battle_has_begun() -> None:
    async def test(beginning: Beginning) -> None:
        beginning.backend.may_begin.set()
        beginning.backend.may_step.set()
        await beginning.answer_first_ticks()
        assert isinstance(await beginning.hosted.next_event(0), Tick)

    while_a_battle_begins(test)


def test_a_seat_may_leave_while_a_battle_begins() -> None:
    async def test(beginning: Beginning) -> None:
        with beginning.hosted.seat(0):
            pass  # joined, and gone
        beginning.backend.may_begin.set()
        await hear_first_tick(beginning.hosted, 1, beginning.phase)

    while_a_battle_begins(test)


def test_a_phase_that_all_leave_while_its_battle_begins_is_not_played() -> None:
    async def test(beginning: Beginning) -> None:
        for seat in (0, 1):
            with beginning.hosted.seat(seat):
                pass
        beginning.backend.may_begin.set()
        beginning.backend.may_step.set()
        for seat in (0, 1):
            beginning.hosted.propose(seat, beginning.phase)
        await beginning.answer_first_ticks()
        assert isinstance(await beginning.hosted.next_event(0), Tick)
        assert beginning.hosted.counters().played.ticks == 2

    while_a_battle_begins(test)


def test_a_seat_that_comes_while_a_battle_begins_plays_it_from_its_beginning() -> None:
    async def test(beginning: Beginning) -> None:
        arena = beginning.hosted
        with arena.seat(0):
            pass
        arena.propose(0, beginning.phase)
        beginning.backend.may_begin.set()
        beginning.backend.may_step.set()
        ticks = await beginning.answer_first_ticks()
        assert all(tick.battles.all() for tick in ticks)
        for seat in (0, 1):
            last = await arena.next_event(seat)
            assert isinstance(last, Tick)
            act(arena, seat, last)
        for seat in (0, 1):
            end = await arena.next_event(seat)
            assert isinstance(end, PhaseEnd)
            assert (end.battles, end.missed) == (1, 0)

    while_a_battle_begins(test)


class Unable(Drill):
    """A drill that cannot begin."""

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        raise BackendFailedError("StarCraft II did not start: no licence")


def test_a_backend_that_cannot_play_tells_all_seats_in_its_own_words(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        arena = hosted(Unable(1, 2))
        for seat in (0, 1):
            arena.propose(seat, collect(battles=1))
        for seat in (0, 1):
            assert isinstance(await arena.next_event(seat), Seated)
            with pytest.raises(NoBattlesError, match=r"^StarCraft II did not start: no licence$"):
                await arena.next_event(seat)

    run(test)
    assert "Traceback" not in caplog.text
