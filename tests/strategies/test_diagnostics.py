"""Figures of how agents stand to each other, worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from strategies.diagnostics import as_vectors, divergence, effective_agents, mean_cosine, weight_ratio

VECTORS = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-1e3, 1e3, width=32)
)


def test_tensors_become_one_vector_in_the_order_of_the_names() -> None:
    agents = [
        {"b": np.array([[1, 2], [3, 4]], np.float32), "a": np.array([5], np.float32)},
        {"a": np.array([9], np.float32), "b": np.zeros((2, 2), np.float32)},
    ]
    vectors = as_vectors(agents, ["a", "b"])
    assert vectors.tolist() == [[5, 1, 2, 3, 4], [9, 0, 0, 0, 0]]
    assert vectors.dtype == np.float64


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        # mean 4: distances 1, 1; 2 of 9 + 25
        ([[3.0], [5.0]], math.sqrt(2 / 34)),
        # mean (1, 1): distances (1, -1), (-1, 1); 4 of 4 + 4
        ([[2.0, 0.0], [0.0, 2.0]], math.sqrt(1 / 2)),
        ([[1.0, -2.0], [-1.0, 2.0]], 1.0),  # mean zero
        ([[0.1, 0.7]] * 3, 0.0),
        ([[4.0, 5.0]], 0.0),  # one agent
        ([[0.0], [0.0]], 0.0),
    ],
)
def test_divergence(weights: list[list[float]], expected: float) -> None:
    assert divergence(np.array(weights)) == pytest.approx(expected, abs=1e-15)


@given(VECTORS)
def test_divergence_is_a_share_and_has_no_unit(weights: np.ndarray) -> None:
    found = divergence(weights.astype(np.float64))
    assert 0.0 <= found <= 1.0 + 1e-12
    assert divergence(weights.astype(np.float64) * 4.0) == pytest.approx(found)


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        ([[1.0, 0.0], [5.0, 0.0], [0.1, 0.0]], 1.0),
        ([[1.0, 0.0], [0.0, 3.0]], 0.0),
        ([[1.0, 2.0], [-2.0, -4.0]], -1.0),
        ([[3.0, 0.0], [1.0, 1.0]], math.sqrt(0.5)),
        # pairs 0, -1, 0
        ([[1.0, 0.0], [0.0, 2.0], [-4.0, 0.0]], -1 / 3),
        ([[1.0, 0.0], [0.0, 0.0], [2.0, 0.0]], 1.0),  # the second did not move
        ([[1.0, 0.0], [0.0, 0.0]], None),
        ([[1.0, 2.0]], None),
    ],
)
def test_mean_cosine(updates: list[list[float]], expected: float | None) -> None:
    assert mean_cosine(np.array(updates)) == (expected if expected is None else pytest.approx(expected))


@given(VECTORS)
def test_mean_cosine_is_the_mean_over_the_pairs(updates: np.ndarray) -> None:
    moved = [u.astype(np.float64) for u in updates if u.any()]
    pairs = [a @ b / np.sqrt((a @ a) * (b @ b)) for i, a in enumerate(moved) for b in moved[:i]]
    found = mean_cosine(updates.astype(np.float64))
    assert found == (pytest.approx(np.mean(pairs), abs=1e-9) if pairs else None)


@pytest.mark.parametrize(
    ("weights", "ratio", "effective"),
    [
        ([0.25, 0.25, 0.25, 0.25], 1.0, 4.0),
        ([0.5, 0.25, 0.25], 2.0, 8 / 3),  # 1 / (1/4 + 1/16 + 1/16)
        ([1.0, 0.0], None, 1.0),
        ([1.0, 5e-324], None, 1.0),
    ],
)
def test_spread_of_aggregation_weights(weights: list[float], ratio: float | None, effective: float) -> None:
    assert weight_ratio(np.array(weights)) == ratio
    assert effective_agents(np.array(weights)) == pytest.approx(effective)
