"""A team of agents and the server between them, exchanging real Flower messages."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

from strategies.arithmetic import Tensor
from strategies.figures import COUNTS, NUMBERS
from strategies.registry import create_strategy
from strategies.settings import SharingSettings
from strategies.sharing import Sharing
from strategies.update import ANYTHING

Tensors = dict[str, Tensor]
# Every agent is believed, and as in the paper.
CREDULOUS = SharingSettings(
    strategy_settings="",
    reward_weighting="proportional",
    personal_layers=4,
    adopt=1.0,
    max_weight=1.0,
    tolerate=0,
    server_optimizer="",
    server_learning_rate=0.1,
    server_momentum=0.9,
    learning_rate=5e-4,
    bounds=ANYTHING,
    attestation=None,
)
NO_GRID = cast(Grid, None)  # strategies do not use it

NETWORK = [
    "fc1.weight",
    "fc1.bias",
    "rnn.weight_ih",
    "rnn.weight_hh",
    "rnn.bias_ih",
    "rnn.bias_hh",
    "fc2.weight",
    "fc2.bias",
]
FIGURES = dict.fromkeys((*COUNTS, *NUMBERS), 1)
MIXER = ["mixer.hyper_w1.weight", "mixer.hyper_w1.bias", "mixer.hyper_b2.0.weight"]


@pytest.fixture(autouse=True)
def _identity(flower_identity: None) -> None:
    """Every test makes messages."""


class Team:
    """Seats 0..n-1 on the nodes 100, 101, ...; every tensor is [2] and filled with one number, unless told."""

    def __init__(self, strategy: Sharing, seats: int, names: list[str]) -> None:
        self.strategy = strategy
        self.names = names
        self.initial = self.filled(0.0)
        self.round = 0
        strategy.place({seat: 100 + seat for seat in range(seats)})

    def filled(self, value: float) -> Tensors:
        return {name: np.full(2, value, dtype=np.float32) for name in self.names}

    def configure(self) -> list[Message]:
        self.round += 1
        config = ConfigRecord({"round-timeout": 60, "map": "3m"})
        return self.strategy.configure_train(self.round, record(self.initial), config, NO_GRID)

    def aggregate(self, replies: Iterable[Message]) -> tuple[Tensors | None, dict[str, Any]]:
        arrays, metrics = self.strategy.aggregate_train(self.round, replies)
        assert metrics is not None
        return (None if arrays is None else tensors(arrays)), dict(metrics)

    def reply(
        self, message: Message, weights: float | Mapping[str, Any], reward: float = 1.0, **metrics: Any
    ) -> Message:
        """Answer a train message; `metrics` (with _ for -) replace or add to those of a sound reply."""
        own = self.filled(weights) if isinstance(weights, int | float) else weights
        sound: dict[str, Any] = {"seat": message.content["config"]["seat"], "reward-sum": reward, "reward-battles": 4}
        changed = {key.replace("_", "-"): value for key, value in metrics.items()}
        said = MetricRecord({**FIGURES, **sound, **changed})
        return Message(RecordDict({"arrays": record(own), "metrics": said}), reply_to=message)

    def play(self, *agents: tuple[float, float]) -> tuple[Tensors | None, dict[str, Any]]:
        """One round in which seat i answers with weights and reward agents[i]."""
        messages = self.configure()
        return self.aggregate([self.reply(message, *agent) for message, agent in zip(messages, agents, strict=True)])


def record(own: Mapping[str, Any]) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(tensor)) for name, tensor in own.items()})


def tensors(arrays: ArrayRecord) -> Tensors:
    return {name: array.numpy() for name, array in arrays.items()}


@pytest.fixture
def team() -> Callable[..., Team]:
    def make(
        name: str = "rs-pps",
        seats: int = 3,
        mixer: bool = False,
        **settings: Any,
    ) -> Team:
        """`settings` are those that are not as in CREDULOUS."""
        strategy = create_strategy(name, dataclasses.replace(CREDULOUS, **settings))
        return Team(strategy, seats, NETWORK + MIXER * mixer)

    return make
