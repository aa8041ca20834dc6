"""The arithmetic of parameter sharing: pure functions over numpy arrays.

Weights are computed and sums are taken in float64, in seat order, and only the result is rounded to float32, so that
a run can be repeated bit for bit and agents that hold the same parameters still hold the same ones after sharing.
"""

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Tensor = NDArray[np.float32]
Vector = NDArray[np.float64]

# Tensors of the mixer carry this prefix; all others are the agent network's.
MIXER_PREFIX = "mixer."


class Adjustment(Enum):
    """What had to be done to rewards that cannot be used as proportions."""

    NONE = "none"
    SHIFTED = "shifted by the minimum"
    MEAN = "all equal, so the mean is used"


class Weighting(NamedTuple):
    """Weights of the agents in an aggregate.

    `weights` is [n] float64, not negative, with sum 1, in the order of the agents it was computed from. `capped` says
    that an agent would have weighed more, and was bounded.
    """

    weights: Vector
    adjustment: Adjustment = Adjustment.NONE
    capped: bool = False


def uniform_weights(n: int) -> Weighting:
    """Give each of `n` agents the weight 1/n.

    Raises ValueError if `n` is less than 1.
    """
    if n < 1:
        raise ValueError(f"weights need at least one agent, got {n}")
    return Weighting(np.full(n, 1.0 / n))


def reward_weights(rewards: ArrayLike) -> Weighting:
    """Weigh agents by their rewards: weight_i = R_i / sum of R (RS-PPS; Zhang et al., AAMAS 2024).

    `rewards` is [n], the sums of the reward buffers. Where they are no proportions, because their sum is zero or some
    R_i is negative, all are shifted by the minimum first (the worst agent then weighs nothing); where that leaves only
    zeros, the agents weigh the same. The returned `adjustment` says which of these it was.

    Raises ValueError if `rewards` is empty, not one-dimensional, or holds NaN or infinity.
    """
    values = _finite_vector(rewards, "rewards")
    adjustment = Adjustment.NONE
    # Weights do not depend on the unit of reward; in units of the largest no sum or difference can overflow.
    largest = np.abs(values).max()
    proportions = values / largest if largest > 0.0 else values
    lowest = proportions.min()
    if lowest < 0.0 or not proportions.any():
        proportions = proportions - lowest
        if not proportions.any():
            return Weighting(uniform_weights(len(values)).weights, Adjustment.MEAN)
        adjustment = Adjustment.SHIFTED
    return Weighting(proportions / proportions.sum(), adjustment)


def softmax_weights(mean_returns: ArrayLike) -> Weighting:
    """Weigh agents by the softmax of their mean returns, as the authors' released code of PPS-QMIX does.

    `mean_returns` is [n], reward per battle. Raises ValueError if it is empty, not one-dimensional, or holds NaN or
    infinity.
    """
    values = _finite_vector(mean_returns, "mean returns")
    with np.errstate(over="ignore"):  # a difference beyond float64 is -inf, and its exponential rightly 0
        exponentials = np.exp(values - values.max())
    return Weighting(exponentials / exponentials.sum())


def capped_weights(weights: Vector, largest: float) -> Vector:
    """Let no agent weigh more than `largest`; the others take what is cut off, in proportion to their weights.

    `weights` is [n], not negative, with sum 1; so is the result: ``w_i <- min(largest, t w_i)`` with the t >= 1 that
    makes the sum 1. Where agents without weight are all that is left to take the rest, they share it evenly. Where
    n largest <= 1 that is impossible, and each agent weighs 1/n. Without a weight above `largest` nothing changes.

    Raises ValueError if `largest` is not above 0.
    """
    if not largest > 0.0:
        raise ValueError(f"the largest weight must be above 0, got {largest}")
    n = len(weights)
    if weights.max() <= largest:
        return weights.copy()
    if n * largest <= 1.0:
        return uniform_weights(n).weights
    # The heaviest reach the bound first: cap them one after the other until the rest fits under it.
    descending = np.argsort(-weights, kind="stable")
    for count in range(1, n):
        rest = descending[count:]
        left, total = 1.0 - count * largest, weights[rest].sum()
        share = weights[rest] / total if total > 0.0 else uniform_weights(len(rest)).weights
        if left * share.max() <= largest:
            break
    result = np.full(n, largest)
    result[rest] = left * share
    return result


def weighted_average(tensors: Sequence[Mapping[str, Tensor]], weights: Vector) -> dict[str, Tensor]:
    """Average tensors of the same name: w_g = sum of weight_i w_i, in float64 and in the order given.

    `tensors` has one mapping per agent, all with the same names and shapes; `weights` is [n] with sum 1. Returns
    float32 tensors in the order of the first mapping. Raises ValueError if the numbers of agents differ.
    """
    names = list(tensors[0]) if tensors else []
    # Explicitly one term after the other: numpy's own sums and dot products choose their order by size and machine.
    average: dict[str, Tensor] = {}
    for name in names:
        # A zero keeps its sign: the sum starts from the first term, not from 0.0, and a weight of -0.0 becomes 0.0.
        terms = [agent[name].astype(np.float64) * (w + 0.0) for agent, w in zip(tensors, weights, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        average[name] = np.asarray(total, dtype=np.float32)
    return average


def adopt(own: Tensor, aggregate: Tensor, share: float) -> Tensor:
    """Move an agent's tensor towards the aggregate: (1 - share) own + share aggregate.

    Share 1 is the paper's formulas, 0.05 is "Soft update" in Table 1 of Zhang et al., AAMAS 2024. Computed in float64,
    returned in float32 and of the shape of `own`; share 1 gives the aggregate and share 0 the agent's own tensor bit
    for bit. Raises ValueError if the share is outside 0..1 or the shapes differ.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"the share to adopt must lie in 0..1, got {share}")
    if own.shape != aggregate.shape:
        raise ValueError(f"cannot adopt a tensor of shape {aggregate.shape} onto one of shape {own.shape}")
    # Both ends are spelled out because adding 0 times a number turns -0.0 into 0.0.
    if share == 1.0:
        return aggregate.copy()
    if share == 0.0:
        return own.copy()
    mixed = (1.0 - share) * own.astype(np.float64) + share * aggregate.astype(np.float64)
    return np.asarray(mixed, dtype=np.float32)


def staleness_weight(staleness: int) -> float:
    """Return ``s = 1 / sqrt(1 + staleness)``, what a late update counts (FedBuff; Nguyen et al., AISTATS 2022).

    `staleness` is the number of aggregations since the update began: 0 counts 1, 3 counts 1/2. Raises ValueError below
    0.
    """
    if staleness < 0:
        raise ValueError(f"staleness is {staleness}, expected 0 or more")
    return 1.0 / math.sqrt(1.0 + staleness)


def rebased(own: Tensor, began: Tensor, aggregate: Tensor, staleness: int) -> Tensor:
    """Return what a late agent's tensor counts as: ``w_g + s (w_i - s_i)``, s = `staleness_weight`.

    w_i is `own`, s_i what it `began` with, w_g the newest aggregate, all of one shape. The averages of this package
    then take the step of FedBuff, ``w_g <- w_g + sum of weight_i s (w_i - s_i)``, among agents that are in time, whose
    s_i is w_g. Computed in float64, returned in float32; staleness 0 gives `own` bit for bit.
    """
    if staleness == 0:
        return own.copy()
    update = own.astype(np.float64) - began.astype(np.float64)
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and then refused by name
        return np.asarray(aggregate.astype(np.float64) + staleness_weight(staleness) * update, dtype=np.float32)


def _finite_vector(values: ArrayLike, what: str) -> Vector:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0:
        raise ValueError(f"{what} must be a vector with one number per agent, got shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{what} must be finite, got {vector.tolist()}")
    return vector
