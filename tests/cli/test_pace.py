"""The speed that a command tells, worked out by hand."""

from __future__ import annotations

import pytest

from cli.pace import Pace


def pace(*samples: tuple[float, int]) -> float | None:
    found = Pace()
    for seconds, steps in samples:
        found.note(seconds, steps)
    return found.steps_per_second


def test_nothing_is_known_before_steps_were_played() -> None:
    assert pace() is None
    assert pace((5.0, 100), (9.0, 100)) is None


def test_it_is_a_mean_of_the_last_minute() -> None:
    assert pace((0.0, 0), (10.0, 1000)) == 100.0
    assert pace((0.0, 0), (10.0, 9000), (50.0, 10_000), (100.0, 11_000)) == pytest.approx(2000 / 90)
    assert pace((0.0, 0), (10.0, 9000), (50.0, 10_000), (111.0, 11_000)) == pytest.approx(1000 / 61)


def test_rounds_of_several_minutes_have_a_speed_too() -> None:
    assert pace((0.0, 0), (300.0, 30_000), (600.0, 90_000), (700.0, 90_000)) == 200.0


def test_a_run_that_waited_is_measured_from_then_on() -> None:
    found = Pace()
    found.note(0.0, 0)
    found.start()
    found.note(100.0, 0)
    found.note(110.0, 500)
    assert found.steps_per_second == 50.0
    assert found.told() == ", 50 steps/s in the last minute, with tests"
    assert found.told() == ", 50 steps/s"


def test_the_end_of_a_long_round_fits_80_columns() -> None:
    found = Pace()
    found.start()
    found.note(0.0, 0)
    found.note(50.0, 1_000_000)
    assert len(f"round 123: 1,000,000 steps (99 %){found.told()}") <= 80
