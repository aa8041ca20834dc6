"""Sharing that withstands hostile agents, by Flower's own strategies: they look at the tensors, and at no claim."""

import logging
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from flwr.serverapp.strategy import Bulyan as FlowerBulyan
from flwr.serverapp.strategy import FedAvg, FedMedian, FedTrimmedAvg
from flwr.serverapp.strategy import MultiKrum as FlowerMultiKrum

from strategies.aggregate import Aggregate, Round
from strategies.arithmetic import Vector, Weighting, weighted_average
from strategies.flower import aggregate_by, weights_by
from strategies.own_settings import Setting
from strategies.sharing import Sharing
from strategies.update import Update

logger = logging.getLogger(__name__)


class _Robust(Sharing):
    def _tolerated(self, agents: int, needed: int, largest: int) -> int:
        """How many hostile agents the method leaves out: `tolerate`, or `largest` if `agents` are not enough for it.

        `needed` is the number of agents with which the method keeps its promise.
        """
        if agents < needed:
            logger.warning(
                "%s withstands %d hostile agents if at least %d take part; here are %d",
                *(type(self).__name__, self.settings.tolerate, needed, agents),
            )
        return min(self.settings.tolerate, max(largest, 0))


class _Elementwise(_Robust):
    """An aggregate in which an agent has no weight: each number is made of the agents' numbers in its place."""

    @abstractmethod
    def flower(self, agents: int) -> FedAvg:
        """Return Flower's strategy for so many agents."""

    def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
        return Aggregate(aggregate_by(self.flower(len(updates)), updates, names, round_), None)


class Median(_Elementwise):
    """Median: all agents continue with the median of each of their weights (Yin et al., ICML 2018).

    Flower's FedMedian. Rewards do not count. Fewer than half of the agents cannot move it beyond what the others sent.
    Shares every tensor of the agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih,
    rnn.bias_hh, fc2.weight, fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def flower(self, agents: int) -> FedAvg:
        return FedMedian()


class TrimmedMean(_Elementwise):
    """Trimmed mean: the mean of each weight without the largest and smallest (Yin et al., ICML 2018).

    Flower's FedTrimmedAvg without the `tolerate` largest and smallest. Rewards do not count. It needs 2 `tolerate` + 1
    agents, and with just so many is the median; with fewer it trims as many as leave one. Shares every tensor of the
    agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih, rnn.bias_hh, fc2.weight, fc2.bias)
    and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def flower(self, agents: int) -> FedAvg:
        trimmed = self._tolerated(agents, 2 * self.settings.tolerate + 1, largest=(agents - 1) // 2)
        # Flower cuts int(beta n) at either end, beta < 1/2; a quarter more lies clear of rounding on both counts.
        return FedTrimmedAvg(beta=(trimmed + 0.25) / agents)


class Krum(_Robust):
    """Krum: all agents continue with the weights of the one most like others (Blanchard et al., NeurIPS 2017).

    Flower's Krum: the agent nearest to its neighbours. The distance to its n - `tolerate` - 2 nearest counts, rewards
    do not. It keeps its promise with 2 `tolerate` + 3 agents; with three it knows each agent's nearest neighbour and no
    more. Shares every tensor of the agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih,
    rnn.bias_hh, fc2.weight, fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
        weights = self._chosen(updates, names, round_, 1)
        index = int(np.argmax(weights))
        tensors = {name: updates[index].tensors[name].copy() for name in names}
        return Aggregate(tensors, Weighting(weights))

    def _chosen(self, updates: Sequence[Update], names: Sequence[str], round_: Round, count: int | None) -> Vector:
        """Return weights [n]: the same for the `count` agents nearest to their neighbours, 0 for the others.

        `count` None: as many as agents are left when the hostile ones are taken off.
        """
        agents = len(updates)
        tolerated = self._tolerated(agents, 2 * self.settings.tolerate + 3, largest=(agents - 1) // 2)
        count = agents - tolerated if count is None else min(count, agents)
        krum = FlowerMultiKrum(num_malicious_nodes=tolerated, num_nodes_to_select=count)
        return weights_by(krum, updates, names, round_)


class MultiKrum(Krum):
    """Multi-Krum: all continue with the mean of the agents that are most like others (Blanchard et al., NeurIPS 2017).

    Flower's: those nearest to their neighbours. Agents are ranked as under krum; `select` of them count equally. With
    `select=0` these are all but `tolerate`. It keeps its promise with 2 `tolerate` + 3 agents. Rewards do not count.
    Shares every tensor of the agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih,
    rnn.bias_hh, fc2.weight, fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    own_settings = (Setting("select", 0, "number of agents that count; 0: all but tolerate", minimum=0),)

    def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
        weights = self._chosen(updates, names, round_, int(self.own["select"]) or None)
        parts = [{name: update.tensors[name] for name in names} for update in updates]
        return Aggregate(weighted_average(parts, weights), Weighting(weights))


class Bulyan(_Elementwise):
    """Bulyan: of the agents that Multi-Krum selects, a mean around the median (El Mhamdi et al., ICML 2018).

    Flower's Bulyan. Of n agents, the n - 2 `tolerate` that are nearest to their neighbours are kept. Each number is the
    mean of the n - 4 `tolerate` of theirs that are nearest to their median. It needs 4 `tolerate` + 3 agents; with
    fewer it tolerates fewer, and with less than seven it is the median. Rewards do not count. Shares every tensor of
    the agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih, rnn.bias_hh, fc2.weight,
    fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def flower(self, agents: int) -> FedAvg:
        tolerated = self._tolerated(agents, 4 * self.settings.tolerate + 3, largest=(agents - 3) // 4)
        if tolerated:
            return FlowerBulyan(num_malicious_nodes=tolerated)
        # Without hostile agents Bulyan is the mean, which withstands none: not where some are to be tolerated.
        return FedMedian() if self.settings.tolerate else FedAvg()
