"""What a round's replies say of how the agents stand to each other, before they are aggregated; all in float64."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from strategies.arithmetic import Tensor, Vector

Vectors = NDArray[np.float64]  # [n, p], one row per agent


def as_vectors(agents: Sequence[Mapping[str, Tensor]], names: Sequence[str]) -> Vectors:
    """Return [n, p]: each agent's tensors of these names as one vector, the tensors in the order of the names."""
    return np.array([np.concatenate([own[name].ravel() for name in names]) for own in agents], dtype=np.float64)


def divergence(weights: Vectors) -> float:
    """How far apart agents are: ``sqrt(sum_i |w_i - m|^2 / sum_i |w_i|^2)``, m = mean of the w_i.

    This is the root mean square distance to the mean, in units of the weights' own root mean square. It lies in 0..1:
    0 where all are the same, d where the distance is d times a weight, 1 where the mean is zero. `weights` is [n, p];
    zeros throughout are the same.
    """
    size = np.square(weights).sum()
    apart = np.square(weights - weights.mean(0)).sum()
    return float(np.sqrt(apart / size)) if size > 0.0 else 0.0


def mean_cosine(updates: Vectors) -> float | None:
    """Return the mean over all pairs i < j of ``u_i . u_j / (|u_i| |u_j|)``: 1 where all go the same way.

    `updates` is [n, p]; an agent that did not move has no direction and is left out. None where less than two moved.
    """
    lengths = np.sqrt(np.square(updates).sum(1))
    directions = updates[lengths > 0.0] / lengths[lengths > 0.0, None]
    n = len(directions)
    if n < 2:
        return None
    # |sum of n directions|^2 = n + 2 sum of the pairs' cosines
    return float((np.square(directions.sum(0)).sum() - n) / (n * (n - 1)))


def weight_ratio(weights: Vector) -> float | None:
    """Return ``max w / min w`` of aggregation weights [n]: 1 where all count the same, None where one is nothing."""
    least = float(weights.min())
    ratio = float(weights.max()) / least if least > 0.0 else math.inf
    return ratio if math.isfinite(ratio) else None  # a softmax can come next to nothing


def effective_agents(weights: Vector) -> float:
    """Return ``1 / sum w_i^2`` of aggregation weights [n] with sum 1: n where all count the same, 1 where one does."""
    return float(1.0 / np.square(weights).sum())


def apartness(before: Sequence[Mapping[str, Tensor]], after: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    """Return the figures of how the agents of a round stand to each other; none where there is no agent.

    `before` and `after` are what each agent began the round with and what it came back with, in the same order. The
    figures are "divergence", "divergence/TENSOR" and, where at least two agents moved, "update-cosine".
    """
    if not after:
        return {}
    names = sorted(after[0])  # the order of a run that was resumed is another, and sums depend on it
    weights = as_vectors(after, names)
    metrics = {"divergence": divergence(weights)}
    metrics |= {f"divergence/{name}": divergence(as_vectors(after, [name])) for name in names}
    if (cosine := mean_cosine(weights - as_vectors(before, names))) is not None:
        metrics["update-cosine"] = cosine
    return metrics


def spread(weights: Vector) -> dict[str, float]:
    """Return the figures of how far aggregation weights [n] with sum 1 are from uniform.

    They are "agents-effective" and, where no agent weighs nothing, "weight-ratio".
    """
    ratio = weight_ratio(weights)
    return {"agents-effective": effective_agents(weights)} | ({} if ratio is None else {"weight-ratio": ratio})
