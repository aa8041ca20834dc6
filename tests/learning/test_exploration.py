"""Exploration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from learning.exploration import choose_actions, epsilon
from tests.learning.toy import settings


@pytest.mark.parametrize(("steps", "expected"), [(0, 1.0), (25, 0.7625), (50, 0.525), (100, 0.05), (10**9, 0.05)])
def test_epsilon_falls_linearly_and_stays(steps: int, expected: float) -> None:
    assert epsilon(steps, settings(epsilon_start=1.0, epsilon_end=0.05, epsilon_steps=100)) == pytest.approx(expected)


@given(available=arrays(np.bool_, (5, 4)), rate=st.floats(0, 1), seed=st.integers(0, 1000))
def test_only_available_actions_are_chosen(available: np.ndarray, rate: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    actions = choose_actions(rng.standard_normal((5, 4)).astype(np.float32), available, rate, rng)
    assert actions.dtype == np.uint8
    idle = ~available.any(1)
    assert (actions[idle] == 0).all()
    assert available[np.arange(5), actions][~idle].all()


def test_greedy_takes_the_best_available_and_draws_nothing() -> None:
    q = np.array([[1, 9, 3], [4, 2, 3]], np.float32)
    available = np.array([[True, False, True], [True, True, True]])
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert choose_actions(q, available, 0.0, rng).tolist() == [2, 0]
    assert rng.bit_generator.state == before


def test_random_actions_are_uniform_over_the_available() -> None:
    available = np.tile([True, False, True, False, True], (30_000, 1))
    actions = choose_actions(np.zeros((30_000, 5), np.float32), available, 1.0, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(actions, minlength=5) / 30_000, [1 / 3, 0, 1 / 3, 0, 1 / 3], atol=0.02)


def test_epsilon_is_the_share_of_random_actions() -> None:
    q = np.tile(np.array([0, 1], np.float32), (30_000, 1))
    actions = choose_actions(q, np.ones((30_000, 2), bool), 0.4, np.random.default_rng(0))
    assert (actions == 0).mean() == pytest.approx(0.2, abs=0.02)  # half of the random ones


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_of_a_network_that_has_diverged_the_action_is_available_too(value: float) -> None:
    available = np.array([[False, True, True], [False, False, True], [False, False, False]])
    actions = choose_actions(np.full((3, 3), value, np.float32), available, 0.0, np.random.default_rng(0))
    assert actions.tolist() == [1, 2, 0]
