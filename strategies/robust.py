"""Sharing that withstands hostile agents, by Flower's own strategies: they look at the tensors, and at no claim."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg, FedMedian, FedTrimmedAvg
from flwr.serverapp.strategy import Krum as FlowerKrum

from strategies.arithmetic import Weighting
from strategies.sharing import Aggregate, Sharing
from strategies.update import Update

logger = logging.getLogger(__name__)

_INDEX = "index"


class _Robust(Sharing):
    def _tolerated(self, agents: int, needed: int) -> int:
        """How many hostile agents are left out of account: `tolerate`, or fewer if `agents` are not enough for it.

        `needed` is the number of agents with which the method keeps its promise.
        """
        if agents < needed:
            logger.warning(
                "%s withstands %d hostile agents if at least %d take part; here are %d",
                *(type(self).__name__, self.settings.tolerate, needed, agents),
            )
        return min(self.settings.tolerate, (agents - 1) // 2)

    def _replies(self, updates: Sequence[Update], names: Sequence[str]) -> list[Message]:
        """Return the updates as Flower's strategies take them; a metric of each is its index."""
        replies = []
        for index, update in enumerate(updates):
            # In float64: squares of what float32 holds overflow there, and near distances would be lost in rounding.
            arrays = ArrayRecord({name: Array(update.tensors[name].astype(np.float64)) for name in names})
            metrics = MetricRecord({"num-examples": 1, _INDEX: index})
            content = RecordDict({"arrays": arrays, "metrics": metrics})
            replies.append(Message(content, self.seats[update.seat], MessageType.TRAIN))
        return replies


class _Elementwise(_Robust):
    """An aggregate that no agent has a weight in: each number is made of the agents' numbers in its place."""

    @abstractmethod
    def flower(self, agents: int) -> FedAvg:
        """Return Flower's strategy for so many agents."""

    def combine(self, updates: Sequence[Update], names: Sequence[str]) -> Aggregate:
        arrays, _ = self.flower(len(updates)).aggregate_train(0, self._replies(updates, names))
        assert arrays is not None  # there is a reply, and each is whole
        return Aggregate({name: array.numpy().astype(np.float32) for name, array in arrays.items()}, None)


class Median(_Elementwise):
    """Median: each number of w_g is the median of the agents' (Flower's FedMedian; Yin et al., ICML 2018).

    Rewards do not count. Fewer than half of the agents cannot move it beyond what the others sent. Shares every tensor
    of the agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih, rnn.bias_hh, fc2.weight,
    fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def flower(self, agents: int) -> FedAvg:
        return FedMedian()


class TrimmedMean(_Elementwise):
    """Trimmed mean: each number without the `tolerate` largest and smallest (Flower's FedTrimmedAvg; Yin et al.).

    Rewards do not count. It needs 2 `tolerate` + 1 agents, and with just so many is the median; with fewer it trims as
    many as leave one. Shares every tensor of the agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh,
    rnn.bias_ih, rnn.bias_hh, fc2.weight, fc2.bias) and, where the agent has a mixer of its own, every tensor of it
    ("mixer.*").
    """

    def flower(self, agents: int) -> FedAvg:
        trimmed = self._tolerated(agents, 2 * self.settings.tolerate + 1)
        # Flower cuts int(beta n) at either end, beta < 1/2; a quarter more lies clear of rounding on both counts.
        return FedTrimmedAvg(beta=(trimmed + 0.25) / agents)


class Krum(_Robust):
    """Krum: w_g is the one agent nearest to its neighbours (Flower's Krum; Blanchard et al., NeurIPS 2017).

    The distance to its n - `tolerate` - 2 nearest counts, rewards do not. It keeps its promise with 2 `tolerate` + 3
    agents; with three it knows each agent's nearest neighbour and no more. Shares every tensor of the agent network
    (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih, rnn.bias_hh, fc2.weight, fc2.bias) and, where the
    agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def combine(self, updates: Sequence[Update], names: Sequence[str]) -> Aggregate:
        tolerated = self._tolerated(len(updates), 2 * self.settings.tolerate + 3)
        _, metrics = FlowerKrum(num_malicious_nodes=tolerated).aggregate_train(0, self._replies(updates, names))
        assert metrics is not None  # there is a reply, and each is whole
        index = int(cast(float, metrics[_INDEX]))  # of the one that is chosen
        tensors = {name: updates[index].tensors[name].copy() for name in names}
        return Aggregate(tensors, Weighting(np.eye(len(updates))[index]))
