"""Refusals are all counted, and few of them are logged."""

from __future__ import annotations

import pytest

from envproxy.refusals import Refusals


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_flood_is_counted_and_logged_as_ten_lines_and_a_number(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    refusals = Refusals(clock)
    for number in range(15_000):
        refusals.note("token", f"ipv4:10.0.0.1:{number}", "this is not the token")
    refusals.note("taken", "ipv4:10.0.0.2:1", "seat 1 is taken")  # another reason has lines of its own
    assert refusals.counts == {"token": 15_000, "taken": 1}
    assert len(caplog.messages) == 11
    assert caplog.messages[0] == "refused ipv4:10.0.0.1:0: this is not the token"
    assert caplog.messages[-1] == "refused ipv4:10.0.0.2:1: seat 1 is taken"
    caplog.clear()
    clock.now += 10.0
    refusals.note("token", "ipv4:10.0.0.1:1", "this is not the token")
    assert caplog.messages == [
        "refused 14990 more calls for the reason token",
        "refused ipv4:10.0.0.1:1: this is not the token",
    ]
