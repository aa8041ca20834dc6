"""An arena as the env proxy hosts it, without gRPC; `test_service.py` has the rest, with real streams."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import envproxy.mixing
from envproxy.arena import Arena, GivenUpError
from envproxy.backend import StepResult
from envproxy.hosting import HostedArena
from envproxy.protocol import Seated, Tick
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
