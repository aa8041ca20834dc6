"""One round as a strategy's `combine` sees it, and what comes of it, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from strategies.arithmetic import Tensor, Weighting


class StrategyFaultError(ValueError):
    """A strategy has returned what cannot be used; the message names its class, the method and what is wrong."""


@dataclass(frozen=True)
class Round:
    """What a strategy knows of a round beside the updates."""

    number: int
    """1 in the first round of a run; a resumed run continues the count."""
    previous: Mapping[str, Tensor]
    """The aggregate of the round before, for each shared tensor; in the first round the initial weights."""
    missing: Sequence[int]
    """Placed seats that sent no reply, in seat order."""
    rejected: Sequence[int]
    """Placed seats whose reply was left out, in seat order."""


class Aggregate(NamedTuple):
    """What came of a round: the shared tensors, and the agents' weights in them where they have any."""

    tensors: dict[str, Tensor]
    """Float32, finite: a tensor for each shared name, of the shape that the agents' have."""
    weighting: Weighting | None
    """Of the updates, in their order; None where an agent has no weight, as in a median."""


def check_aggregate(aggregate: object, shapes: Mapping[str, tuple[int, ...]], agents: int, source: str) -> Aggregate:
    """Return what `source` returned if it is an aggregate of tensors of these names and shapes.

    Raises StrategyFaultError, naming the tensor.
    """
    if not isinstance(aggregate, Aggregate):
        raise StrategyFaultError(f"{source} returned a {type(aggregate).__name__}, expected an Aggregate")
    tensors, weighting = aggregate
    if not isinstance(tensors, dict) or tensors.keys() != shapes.keys():
        names = list(tensors) if isinstance(tensors, dict) else type(tensors).__name__
        raise StrategyFaultError(f"{source} returned tensors {names}, expected {list(shapes)}")
    for name, shape in shapes.items():
        if wrong := _wrong_tensor(tensors[name], shape):
            raise StrategyFaultError(f"{source} returned tensor {name} {wrong}")
    if weighting is not None:
        check_weighting(weighting, agents, source)
    return aggregate


def check_weighting(weighting: object, agents: int, source: str) -> Weighting:
    """Return what `source` returned if it is one weight per agent, not negative, with sum 1.

    Raises StrategyFaultError.
    """
    if not isinstance(weighting, Weighting):
        raise StrategyFaultError(f"{source} returned a {type(weighting).__name__}, expected a Weighting")
    weights = np.asarray(weighting.weights)
    # `not >=` rather than `<`, so that NaN is caught as well.
    if weights.shape != (agents,) or not (weights >= 0.0).all() or abs(weights.sum() - 1.0) > 1e-9:
        raise StrategyFaultError(
            f"{source} returned weights {weights.tolist()}, expected {agents} weights of at least 0 with sum 1"
        )
    return weighting


def _wrong_tensor(tensor: object, shape: tuple[int, ...]) -> str | None:
    if not isinstance(tensor, np.ndarray):
        return f"as a {type(tensor).__name__}, expected a numpy array"
    if tensor.dtype != np.float32:
        return f"of type {tensor.dtype}, expected float32"
    if tensor.shape != shape:
        return f"of shape {tensor.shape}, expected {shape}"
    if np.isnan(tensor).any():
        return "with NaN, expected finite numbers"
    if np.isinf(tensor).any():
        return "with infinity, expected finite numbers"
    return None
