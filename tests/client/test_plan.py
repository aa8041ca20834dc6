"""Which phase comes next: evaluations when they are due, rounds of the ordered length, nothing after the end."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.plan import RoundOrder, first_standing, next_phase, order_ahead
from envproxy.protocol import MixOrder, Phase, PhaseKind, Standing
from tests.learning.test_settings import CONFIG

ORDER = RoundOrder(
    seed=7, round=3, steps_before=9_000, total_steps=20_000, battles=100, evaluate_every=5_000, evaluate_battles=32,
    learning_rate=5e-4,
)  # fmt: skip


def test_a_round_begins_with_everything_evaluated_that_was_due_before() -> None:
    assert first_standing(ORDER) == Standing(evaluations=1)


def test_collects_up_to_the_next_evaluation() -> None:
    phase = next_phase(ORDER, Standing(evaluations=1))
    assert phase == Phase(7, 3, PhaseKind.COLLECT, battles=100, steps=1_000, standing=Standing(evaluations=1))


def test_evaluates_once_it_is_due() -> None:
    standing = Standing(index=1, battles=40, steps=1_013, evaluations=1)
    assert next_phase(ORDER, standing) == Phase(7, 3, PhaseKind.EVALUATE, battles=32, steps=0, standing=standing)


def test_collecting_continues_after_an_evaluation() -> None:
    phase = next_phase(ORDER, Standing(index=2, battles=40, steps=1_013, evaluations=2))
    assert phase is not None
    assert (phase.kind, phase.battles, phase.steps) == (PhaseKind.COLLECT, 60, 4_987)


def test_one_evaluation_stands_for_all_that_a_long_phase_ran_past() -> None:
    phase = next_phase(ORDER, Standing(index=1, battles=40, steps=10_999, evaluations=1))
    assert phase is not None
    assert phase.kind is PhaseKind.EVALUATE
    assert phase.standing.evaluations == 2  # after it: 3, that is 5000, 10000 and 15000


def test_a_round_is_over_when_its_battles_are_played() -> None:
    assert next_phase(ORDER, Standing(index=2, battles=100, steps=3_000, evaluations=2)) is None


def test_the_runs_end_is_evaluated_and_then_nothing_follows() -> None:
    ended = Standing(index=5, battles=60, steps=11_003, evaluations=3)
    last = next_phase(ORDER, ended)
    assert last is not None
    assert last.kind is PhaseKind.EVALUATE
    assert next_phase(ORDER, dataclasses.replace(ended, evaluations=last.standing.evaluations + 1)) is None


ROUND = {"round": 2, "steps-before": 900, "round-battles": 300, "run-id": "ab12", "seats": [0, 2], "order": 5}


def test_every_phase_names_the_servers_order_and_the_seats_that_it_has_asked() -> None:
    order = RoundOrder.from_config({**CONFIG, **ROUND})
    phases = [next_phase(order, Standing(steps=steps)) for steps in (0, 4_100)]
    assert [(phase.kind, phase.order, phase.seats) for phase in phases if phase] == [
        (PhaseKind.COLLECT, 5, frozenset({0, 2})),
        (PhaseKind.EVALUATE, 5, frozenset({0, 2})),
    ]


def test_joint_mixing_is_ordered_in_collect_phases_only() -> None:
    order = RoundOrder.from_config({**CONFIG, **ROUND, "mixing": "joint", "base": "qmix"})
    collecting, evaluating = (next_phase(order, Standing(steps=steps)) for steps in (0, 4_100))
    assert collecting is not None
    assert evaluating is not None
    assert collecting.mixing == MixOrder("ab12", "qmix", 96, 5000, 1.0, 5e-4, 0.99, 0.0, 200, 10.0)
    assert (evaluating.kind, evaluating.mixing) == (PhaseKind.EVALUATE, None)


@pytest.mark.parametrize(
    ("decay", "before", "rate"),
    [(0.0, 900, 0.5), (0.5, 0, 0.5), (0.5, 500, 0.375), (0.5, 1000, 0.25), (0.5, 1200, 0.25), (1.0, 750, 0.125)],
)
def test_the_learning_rate_falls_evenly_until_the_runs_end(decay: float, before: int, rate: float) -> None:
    settings = {"learning-rate": 0.5, "learning-rate-decay": decay, "total-steps": 1000, "steps-before": before}
    order = RoundOrder.from_config({**CONFIG, **ROUND, **settings, "mixing": "joint"})
    assert order.learning_rate == rate
    assert order.mixing is not None
    assert order.mixing.learning_rate == rate  # a mixer learns at the rate of the agents


def test_solo_learning_sends_no_mix_order() -> None:
    phase = next_phase(RoundOrder.from_config({**CONFIG, **ROUND}), Standing())
    assert phase is not None
    assert phase.mixing is None


NEXT = {"next-order": 8, "next-battles": 200, "total-steps": 5_000, "learning-rate-decay": 0.5, "overlap": 20}


def test_the_order_that_a_device_makes_ahead_is_the_one_that_the_server_gives_later() -> None:
    ahead = order_ahead({**CONFIG, **ROUND, **NEXT}, 1_100)
    told = {**CONFIG, **ROUND, **NEXT, "round": 3, "steps-before": 2_000, "round-battles": 200, "order": 8}
    given = RoundOrder.from_config(told)
    assert ahead == given
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"seats": [0, 1, 2]}, True),  # a seat has come back
        ({"order": 9}, False),
        ({"steps-before": 2_001}, False),  # this device has seen another end of the round before than most
        ({"round": 2}, False),
    ]
    for changes, continues in cases:
        assert RoundOrder.from_config({**told, **changes}).continues(given) is continues


def test_nothing_is_ordered_ahead_without_an_announcement_or_after_the_run_s_end() -> None:
    assert order_ahead({**CONFIG, **ROUND}, 1_100) is None
    assert order_ahead({**CONFIG, **ROUND, **NEXT}, 4_099) is not None
    assert order_ahead({**CONFIG, **ROUND, **NEXT}, 4_100) is None


@given(
    before=st.integers(0, 30_000),
    total=st.integers(1, 40_000),
    every=st.integers(1, 10_000),
    battles=st.integers(1, 300),
    length=st.integers(1, 60),
)
def test_every_round_ends_and_no_evaluation_is_left_out(
    before: int, total: int, every: int, battles: int, length: int
) -> None:
    """Play the plan with battles of one length: it ends, within its battles, with nothing due unevaluated."""
    order = RoundOrder(0, 1, before, total, battles, every, 4, 5e-4)
    standing = first_standing(order)
    while (phase := next_phase(order, standing)) is not None:
        assert standing.index < 40_000
        if phase.kind is PhaseKind.EVALUATE:
            standing = dataclasses.replace(
                phase.standing, index=standing.index + 1, evaluations=phase.standing.evaluations + 1
            )
            continue
        assert 0 < phase.battles <= battles
        assert phase.steps > 0
        played = min(phase.battles, -(-phase.steps // length))
        standing = dataclasses.replace(
            standing,
            index=standing.index + 1,
            battles=standing.battles + played,
            steps=standing.steps + played * length,
        )
    steps = before + standing.steps
    assert standing.battles == battles or steps >= total
    assert standing.evaluations == steps // every + (steps >= total)
