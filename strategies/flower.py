"""Flower's own strategies as the arithmetic of ours."""

from collections.abc import Sequence

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from strategies.aggregate import Round
from strategies.arithmetic import Tensor
from strategies.update import Update


def aggregate_by(strategy: FedAvg, updates: Sequence[Update], names: Sequence[str], round_: Round) -> dict[str, Tensor]:
    """Return what one of Flower's strategies makes of the agents' tensors of these names.

    Every agent counts as one example. Flower computes in float64, the result is float32. Raises ValueError if the
    strategy aggregates nothing, for example because it asks for more agents.
    """
    replies = [
        Message(
            RecordDict({"arrays": record64(update.tensors, names), "metrics": MetricRecord({"num-examples": 1})}),
            dst_node_id=update.seat + 1,  # Flower looks at what a reply holds, not at who sent it
            message_type=MessageType.TRAIN,
        )
        for update in updates
    ]
    arrays, _ = strategy.aggregate_train(round_.number, replies)
    if arrays is None:
        raise ValueError(f"Flower's {type(strategy).__name__} aggregates nothing of {len(updates)} agents")
    return {name: array.numpy().astype(np.float32) for name, array in arrays.items()}


def record64(tensors: dict[str, Tensor], names: Sequence[str]) -> ArrayRecord:
    """Return tensors as Flower takes them, in float64: squares of what float32 holds would overflow there."""
    return ArrayRecord({name: Array(tensors[name].astype(np.float64)) for name in names})
