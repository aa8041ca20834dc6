"""Flower's own strategies as the arithmetic of ours."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from strategies.aggregate import Round
from strategies.arithmetic import Tensor, Vector
from strategies.update import Update


def aggregate_by(strategy: FedAvg, updates: Sequence[Update], names: Sequence[str], round_: Round) -> dict[str, Tensor]:
    """Return what one of Flower's strategies makes of the agents' tensors of these names.

    Every agent counts as one example. Flower computes in float64, the result is float32. Raises ValueError if the
    strategy aggregates nothing, for example because it asks for more agents.
    """
    arrays, _ = strategy.aggregate_train(round_.number, _replies(updates, names))
    if arrays is None:
        raise ValueError(f"Flower's {type(strategy).__name__} aggregates nothing of {len(updates)} agents")
    return {name: array.numpy().astype(np.float32) for name, array in arrays.items()}


def weights_by(strategy: FedAvg, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Vector:
    """Return the weight [n] that one of Flower's strategies gives each agent.

    Each agent's metrics are 1 under its own index and 0 under all others, so their aggregate is the weights. Raises
    ValueError if the strategy aggregates nothing.
    """
    _, metrics = strategy.aggregate_train(round_.number, _replies(updates, names))
    if metrics is None:
        raise ValueError(f"Flower's {type(strategy).__name__} aggregates nothing of {len(updates)} agents")
    return np.array([cast(float, metrics[_weight_of(index)]) for index in range(len(updates))])


def _replies(updates: Sequence[Update], names: Sequence[str]) -> list[Message]:
    """Return the updates as Flower's strategies take them."""
    replies = []
    for index, update in enumerate(updates):
        weights = {_weight_of(other): float(other == index) for other in range(len(updates))}
        metrics = MetricRecord({"num-examples": 1, **weights})
        content = RecordDict({"arrays": record64(update.tensors, names), "metrics": metrics})
        # Flower looks at what a reply holds, not at who sent it
        replies.append(Message(content, dst_node_id=update.seat + 1, message_type=MessageType.TRAIN))
    return replies


def _weight_of(index: int) -> str:
    return f"weight-{index}"


def record64(tensors: dict[str, Tensor], names: Sequence[str]) -> ArrayRecord:
    """Return tensors as Flower takes them, in float64: squares of what float32 holds would overflow there."""
    return ArrayRecord({name: Array(tensors[name].astype(np.float64)) for name in names})
