"""Worked by hand where there are numbers; properties by hypothesis."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from strategies.arithmetic import (
    Adjustment,
    Weighting,
    adopt,
    capped_weights,
    reward_weights,
    softmax_weights,
    uniform_weights,
    weighted_average,
)

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
REWARDS = hnp.arrays(np.float64, st.integers(1, 9), elements=st.floats(allow_nan=False, allow_infinity=False))


@st.composite
def agents(draw: st.DrawFn) -> tuple[list[np.ndarray], np.ndarray]:
    """Draw 1..6 agents' tensors, [2, 3], and rewards, some of which are zero."""
    n = draw(st.integers(1, 6))
    tensors = [draw(hnp.arrays(np.float32, (2, 3), elements=FLOATS)) for _ in range(n)]
    return tensors, draw(hnp.arrays(np.float64, n, elements=st.floats(-1e6, 1e6)))


class TestUniformWeights:
    def test_four_agents(self) -> None:
        assert uniform_weights(4).weights.tolist() == [0.25, 0.25, 0.25, 0.25]

    def test_no_agent(self) -> None:
        with pytest.raises(ValueError, match="at least one agent, got 0"):
            uniform_weights(0)


class TestRewardWeights:
    @pytest.mark.parametrize(
        ("rewards", "weights", "adjustment"),
        [
            # 3 + 1 + 4 = 8
            ([3.0, 1.0, 4.0], [0.375, 0.125, 0.5], Adjustment.NONE),
            # one agent without reward weighs nothing: 2 + 0 + 6 = 8
            ([2.0, 0.0, 6.0], [0.25, 0.0, 0.75], Adjustment.NONE),
            ([5.0, 5.0, 5.0, 5.0], [0.25, 0.25, 0.25, 0.25], Adjustment.NONE),
            # minus the minimum: 0, 3, 1; 0 + 3 + 1 = 4
            ([-1.0, 2.0, 0.0], [0.0, 0.75, 0.25], Adjustment.SHIFTED),
            # sum zero: minus the minimum 0, 8
            ([-4.0, 4.0], [0.0, 1.0], Adjustment.SHIFTED),
            # all negative: 2, 0, 6
            ([-6.0, -8.0, -2.0], [0.25, 0.0, 0.75], Adjustment.SHIFTED),
            ([0.0, 0.0], [0.5, 0.5], Adjustment.MEAN),
            ([-3.0, -3.0], [0.5, 0.5], Adjustment.MEAN),
            ([0.0], [1.0], Adjustment.MEAN),
            ([-7.0], [1.0], Adjustment.MEAN),
            ([7.0], [1.0], Adjustment.NONE),
        ],
    )
    def test_worked_by_hand(self, rewards: list[float], weights: list[float], adjustment: Adjustment) -> None:
        result = reward_weights(rewards)
        np.testing.assert_allclose(result.weights, weights, rtol=0, atol=1e-15)
        assert result.adjustment is adjustment

    def test_rewards_whose_sum_overflows(self) -> None:
        assert reward_weights([1.5e308, 1.5e308]).weights.tolist() == [0.5, 0.5]
        assert reward_weights([-1.5e308, 1.5e308]).weights.tolist() == [0.0, 1.0]

    @pytest.mark.parametrize("wrong", [[], [[1.0, 2.0]], [1.0, np.nan], [np.inf, 1.0]])
    def test_what_is_no_vector_of_finite_numbers(self, wrong: list[float]) -> None:
        with pytest.raises(ValueError, match="rewards must be"):
            reward_weights(wrong)


class TestSoftmaxWeights:
    def test_worked_by_hand(self) -> None:
        # exp(0) : exp(ln 3) = 1 : 3
        np.testing.assert_allclose(softmax_weights([0.0, np.log(3.0)]).weights, [0.25, 0.75], rtol=1e-15)

    def test_large_returns_do_not_overflow(self) -> None:
        # exp(1000) overflows, the weights depend on the differences only
        expected = np.array([1.0, np.e]) / (1.0 + np.e)
        np.testing.assert_allclose(softmax_weights([1000.0, 1001.0]).weights, expected, rtol=1e-15)
        assert softmax_weights([-1.5e308, 1.5e308]).weights.tolist() == [0.0, 1.0]

    def test_nan(self) -> None:
        with pytest.raises(ValueError, match="mean returns must be finite"):
            softmax_weights([np.nan])


@pytest.mark.parametrize("rule", [reward_weights, softmax_weights])
class TestEveryRule:
    @given(rewards=REWARDS)
    def test_weights_are_proportions(self, rule: Callable[[np.ndarray], Weighting], rewards: np.ndarray) -> None:
        weights = rule(rewards).weights
        assert weights.dtype == np.float64
        assert weights.shape == rewards.shape
        assert (weights >= 0.0).all()
        assert abs(weights.sum() - 1.0) < 1e-12

    @given(rewards=REWARDS, data=st.data())
    def test_order_of_agents_does_not_matter(
        self, rule: Callable[[np.ndarray], Weighting], rewards: np.ndarray, data: st.DataObject
    ) -> None:
        order = data.draw(st.permutations(range(len(rewards))))
        permuted, original = rule(rewards[order]), rule(rewards)
        np.testing.assert_allclose(permuted.weights, original.weights[order], rtol=1e-12)
        assert permuted.adjustment is original.adjustment

    @given(rewards=REWARDS)
    def test_more_reward_never_weighs_less(self, rule: Callable[[np.ndarray], Weighting], rewards: np.ndarray) -> None:
        weights = rule(np.sort(rewards)).weights
        assert (np.diff(weights) >= 0.0).all()


class TestCappedWeights:
    @pytest.mark.parametrize(
        ("weights", "largest", "expected"),
        [
            ([0.5, 0.3, 0.2], 0.5, [0.5, 0.3, 0.2]),
            # 0.4 is left for 0.24 and 0.16: as 3 to 2
            ([0.6, 0.24, 0.16], 0.5, [0.5, 0.3, 0.2]),
            # the second takes 0.4 * 3 / 4 first, which is too much; what is over goes to the third
            ([0.8, 0.15, 0.05], 0.4, [0.4, 0.4, 0.2]),
            # agents without weight take what no other agent may
            ([1.0, 0.0, 0.0], 0.5, [0.5, 0.25, 0.25]),
            ([0.9, 0.1, 0.0, 0.0], 0.4, [0.4, 0.4, 0.1, 0.1]),
            # 4 * 0.25 and 4 * 0.1 are not more than 1
            ([0.7, 0.1, 0.1, 0.1], 0.25, [0.25] * 4),
            ([0.7, 0.3, 0.0, 0.0], 0.1, [0.25] * 4),
            ([1.0], 0.5, [1.0]),
        ],
    )
    def test_worked_by_hand(self, weights: list[float], largest: float, expected: list[float]) -> None:
        np.testing.assert_allclose(capped_weights(np.array(weights), largest), expected, rtol=0, atol=1e-15)

    @pytest.mark.parametrize("largest", [0.0, -1.0, np.nan])
    def test_a_bound_that_is_none(self, largest: float) -> None:
        with pytest.raises(ValueError, match="must be above 0"):
            capped_weights(np.ones(1), largest)

    @given(rewards=REWARDS, largest=st.floats(0.01, 1.0), data=st.data())
    def test_what_holds_for_all(self, rewards: np.ndarray, largest: float, data: st.DataObject) -> None:
        weights, n = reward_weights(rewards).weights, len(rewards)
        capped = capped_weights(weights, largest)
        assert abs(capped.sum() - 1.0) < 1e-12
        assert capped.max() <= max(largest, 1.0 / n) + 1e-12
        # who is not cut off loses nothing, and the order of the agents stays
        assert (capped >= np.minimum(weights, max(largest, 1.0 / n)) - 1e-12).all() or n * largest < 1.0
        assert (np.diff(capped[np.argsort(weights)]) >= -1e-12).all()
        # those below the bound keep their proportions
        free = (capped < largest - 1e-9) & (weights > 1e-9)
        if n * largest > 1.0 and free.any():
            ratio = capped[free] / weights[free]
            np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
        if weights.max() <= largest:
            assert capped.tobytes() == weights.tobytes()
        order = data.draw(st.permutations(range(n)))
        np.testing.assert_allclose(capped_weights(weights[order], largest), capped[order], rtol=0, atol=1e-12)


class TestWeightedAverage:
    def test_worked_by_hand(self) -> None:
        first = {"a": np.array([1.0, 2.0], np.float32), "b": np.array([[8.0]], np.float32)}
        second = {"a": np.array([5.0, -2.0], np.float32), "b": np.array([[0.0]], np.float32)}
        average = weighted_average([first, second], np.array([0.75, 0.25]))
        # 0.75 * 1 + 0.25 * 5 = 2; 0.75 * 2 - 0.25 * 2 = 1; 0.75 * 8 = 6
        assert list(average) == ["a", "b"]
        assert average["a"].tolist() == [2.0, 1.0]
        assert average["b"].tolist() == [[6.0]]
        assert all(tensor.dtype == np.float32 for tensor in average.values())

    def test_sum_is_taken_in_float64(self) -> None:
        # In float32 1e8 + 1 is 1e8, and the 1 would be lost.
        parts = [{"a": np.array([value], np.float32)} for value in (1e8, 1.0, -1e8)]
        assert weighted_average(parts, np.full(3, 1 / 3))["a"][0] == np.float32(1 / 3)

    def test_zero_keeps_its_sign_under_a_weight_of_zero(self) -> None:
        zero = {"a": np.array([-0.0], np.float32)}
        assert np.signbit(weighted_average([zero, zero], np.array([1.0, -0.0]))["a"][0])

    def test_tensor_without_dimensions(self) -> None:
        average = weighted_average([{"a": np.array(3.0, np.float32)}] * 2, np.array([0.5, 0.5]))
        assert average["a"].shape == ()

    def test_one_weight_too_few(self) -> None:
        with pytest.raises(ValueError, match="shorter"):
            weighted_average([{"a": np.zeros(1, np.float32)}] * 2, np.array([1.0]))

    @given(agents())
    def test_lies_in_the_convex_hull(self, drawn: tuple[list[np.ndarray], np.ndarray]) -> None:
        tensors, rewards = drawn
        average = weighted_average([{"a": tensor} for tensor in tensors], reward_weights(rewards).weights)["a"]
        assert (average >= np.min(tensors, axis=0)).all()
        assert (average <= np.max(tensors, axis=0)).all()

    @given(agents(), st.data())
    def test_order_of_agents_does_not_matter(
        self, drawn: tuple[list[np.ndarray], np.ndarray], data: st.DataObject
    ) -> None:
        tensors, rewards = drawn
        weights = reward_weights(rewards).weights
        order = data.draw(st.permutations(range(len(tensors))))
        one = weighted_average([{"a": tensor} for tensor in tensors], weights)["a"]
        other = weighted_average([{"a": tensors[i]} for i in order], weights[order])["a"]
        # Up to the order of the sum: an error of float64 relative to the largest term, then one rounding to float32.
        largest = float(np.abs(tensors).max())
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-14 * largest)

    @given(agents())
    def test_identical_agents_stay_identical(self, drawn: tuple[list[np.ndarray], np.ndarray]) -> None:
        (tensor, *_), rewards = drawn
        average = weighted_average([{"a": tensor}] * len(rewards), reward_weights(rewards).weights)["a"]
        assert average.tobytes() == tensor.tobytes()


class TestAdopt:
    own = np.array([1.0, -2.0], np.float32)
    aggregate = np.array([3.0, 2.0], np.float32)

    def test_soft_update_worked_by_hand(self) -> None:
        # 0.95 * 1 + 0.05 * 3 = 1.1; 0.95 * -2 + 0.05 * 2 = -1.8
        expected = np.array([1.1, -1.8], np.float32)
        assert adopt(self.own, self.aggregate, 0.05).tobytes() == expected.tobytes()

    @given(hnp.arrays(np.float32, 4, elements=FLOATS), hnp.arrays(np.float32, 4, elements=FLOATS))
    def test_ends_are_bit_for_bit(self, own: np.ndarray, aggregate: np.ndarray) -> None:
        assert adopt(own, aggregate, 1.0).tobytes() == aggregate.tobytes()
        assert adopt(own, aggregate, 0.0).tobytes() == own.tobytes()

    @given(hnp.arrays(np.float32, 4, elements=FLOATS), st.floats(0.0, 1.0))
    def test_agent_that_equals_the_aggregate_stays(self, own: np.ndarray, share: float) -> None:
        assert adopt(own, own, share).tobytes() == own.tobytes()

    def test_the_result_is_not_a_view(self) -> None:
        assert not np.shares_memory(adopt(self.own, self.aggregate, 1.0), self.aggregate)
        assert not np.shares_memory(adopt(self.own, self.aggregate, 0.0), self.own)

    @pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
    def test_share_outside(self, share: float) -> None:
        with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
            adopt(self.own, self.aggregate, share)

    def test_shapes_differ(self) -> None:
        with pytest.raises(ValueError, match=r"shape \(1,\) onto one of shape \(2,\)"):
            adopt(self.own, self.aggregate[:1], 0.5)


def test_weighting_says_nothing_was_adjusted_by_default() -> None:
    assert Weighting(np.ones(1)).adjustment is Adjustment.NONE
