"""Turns of calls without a token, by a clock of the test's; `test_service.py` has them at a real env proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from envproxy import strangers
from envproxy.strangers import BURST, LONGEST_WAIT, RATE, Strangers


class Time:
    """A clock, and the seconds that were slept by it; sleeping does not turn it on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    found = Time()
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "sleep", found.sleep)
        yield found


def ask(turns: Strangers, peer: str, times: int = 1) -> list[bool]:
    async def all_() -> list[bool]:
        return [await turns.turn(peer) for _ in range(times)]

    return asyncio.run(all_())


def test_a_burst_is_served_at_once_and_then_a_call_each_twentieth_of_a_second(time: Time) -> None:
    turns = Strangers(time)
    assert all(ask(turns, "ipv4:10.0.0.1:5", BURST))
    assert time.slept == []
    assert all(ask(turns, "ipv4:10.0.0.1:6", 4))
    assert time.slept[-3:] == pytest.approx([1 / RATE, 2 / RATE, 3 / RATE])


def test_a_call_that_would_wait_too_long_waits_and_is_refused_and_takes_no_turn(time: Time) -> None:
    turns = Strangers(time)
    served = ask(turns, "ipv4:10.0.0.1:5", 1000)
    assert served.count(True) == pytest.approx(BURST + RATE * LONGEST_WAIT, abs=1)
    assert served == sorted(served, reverse=True)
    assert time.slept[-1] == LONGEST_WAIT
    time.now += LONGEST_WAIT + BURST / RATE + 1
    assert ask(turns, "ipv4:10.0.0.1:5") == [True]


def test_a_peer_does_not_wait_for_another(time: Time) -> None:
    turns = Strangers(time)
    ask(turns, "ipv4:10.0.0.1:5", 500)
    time.slept.clear()
    assert ask(turns, "ipv4:10.0.0.2:5") == [True]
    assert time.slept == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ipv4:10.0.0.1:5", "ipv4:10.0.0.1:6", True),
        ("ipv6:%5B2001:db8::1%5D:5", "ipv6:%5B2001:db8::2%5D:6", True),  # of one /64
        ("ipv6:%5B2001:db8::1%5D:5", "ipv6:%5B2001:db8:0:1::1%5D:5", False),
        ("ipv6:%5B::ffff:10.0.0.1%5D:5", "ipv6:%5B::ffff:10.0.0.2%5D:5", False),
        ("ipv6:%5Bfe80::1%25eth0%5D:5", "ipv6:%5Bfe80::2%25eth0%5D:5", True),
        ("ipv6:nonsense", "unix:", False),
    ],
)
def test_what_counts_as_one_peer(time: Time, one: str, other: str, same: bool) -> None:
    turns = Strangers(time)
    ask(turns, one, BURST + 1)
    time.slept.clear()
    ask(turns, other)
    assert bool(time.slept) is same


def test_no_more_peers_are_remembered_than_there_is_room_for(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_MOST_PEERS", 3)
    turns = Strangers(time)
    for peer in range(50):
        assert ask(turns, f"ipv4:10.0.0.{peer}:5") == [True]
        assert len(turns._next) <= 3


def test_so_many_calls_may_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MOST", 2)

    async def test() -> None:
        turns = Strangers(lambda: 0.0)
        for _ in range(BURST + 1):
            await turns.turn("ipv4:10.0.0.1:5")
        waiting = [asyncio.create_task(turns.turn("ipv4:10.0.0.1:5")) for _ in range(2)]
        await asyncio.sleep(0)
        assert await turns.turn("ipv4:10.0.0.1:5") is False
        assert await asyncio.gather(*waiting) == [True, True]

    asyncio.run(test())
