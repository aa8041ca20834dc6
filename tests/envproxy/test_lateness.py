"""Who is late, by hand-worked examples; `test_service.py` has a seat that plays for time at a real env proxy."""

import math

from hypothesis import given
from hypothesis import strategies as st

from envproxy.lateness import Lateness


def test_a_seat_is_late_from_the_moment_at_which_half_have_answered() -> None:
    lateness = Lateness(seats=4, budget=5.0)
    lateness.begin(round_=1)
    lateness.answered(0, awaited=[1, 2, 3], now=10.0)
    assert lateness.deadline([1, 2, 3]) == math.inf
    lateness.answered(1, awaited=[2, 3], now=11.0)  # two of four
    assert lateness.deadline([2, 3]) == 16.0
    lateness.answered(2, awaited=[3], now=13.0)  # 2 s late
    assert lateness.end_late([3], now=15.9) == []
    lateness.answered(3, awaited=[], now=15.9)
    lateness.begin(round_=1)
    lateness.answered(0, awaited=[1, 2, 3], now=20.0)
    lateness.answered(1, awaited=[2, 3], now=20.0)
    assert lateness.deadline([2]) == 23.0  # 2 of its 5 s are spent
    assert round(lateness.deadline([2, 3]), 6) == 20.1  # 4.9 of seat 3's
    assert lateness.end_late([2, 3], now=20.2) == [3]
    assert lateness.is_over(3, 1)
    assert not lateness.is_over(2, 1)


def test_a_new_round_brings_new_budgets() -> None:
    lateness = Lateness(seats=2, budget=1.0)
    lateness.begin(round_=4)
    lateness.answered(0, awaited=[1], now=0.0)
    assert lateness.end_late([1], now=1.0) == [1]
    assert lateness.is_over(1, 3)  # of an older round, too
    assert not lateness.is_over(1, 5)
    lateness.begin(round_=5)
    lateness.answered(0, awaited=[1], now=7.0)
    assert lateness.deadline([1]) == 8.0


def test_without_a_budget_no_seat_is_ever_over_it() -> None:
    lateness = Lateness(seats=2, budget=0.0)
    lateness.begin(round_=1)
    lateness.answered(0, awaited=[1], now=0.0)
    assert lateness.deadline([1]) == math.inf
    assert lateness.end_late([1], now=1e9) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0.0, 10.0)), max_size=60))
def test_seats_that_answer_with_the_first_half_are_never_charged(answers: list[tuple[int, float]]) -> None:
    lateness = Lateness(seats=5, budget=1e-9)
    now = 0.0
    for slowest, seconds in answers:
        lateness.begin(round_=1)
        awaited = [seat for seat in range(5) if seat != slowest]
        for seat in list(awaited):
            awaited.remove(seat)
            lateness.answered(seat, [*awaited, slowest], now)
        now += seconds
        assert set(lateness.end_late([slowest], now)) <= {slowest}
        lateness.answered(slowest, [], now)
    never_slow = set(range(5)) - {slowest for slowest, _ in answers}
    assert not any(lateness.is_over(seat, 1) for seat in never_slow)
