"""Devices that answer the server as real ones do, but play nothing: what a round brings them is a number."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID
from numpy.typing import NDArray

from server.flower_internals import make_run
from server.in_process_grid import InProcessGrid
from server.rounds import Rounds
from server.settings import Settings, Value, check_settings
from strategies.registry import create_strategy
from strategies.settings import NETWORK_TENSORS, SharingSettings

Tensors = dict[str, NDArray[np.float32]]


def defaults() -> dict[str, Value]:
    """Every setting with its default, straight from pyproject.toml."""
    document = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    config: dict[str, Value] = document["tool"]["flwr"]["app"]["config"]
    return config


def settings(**changes: Value) -> Settings:
    return check_settings({**defaults(), **{name.replace("_", "-"): value for name, value in changes.items()}})


def filled(value: float) -> Tensors:
    """Tensors of an agent's names, all filled with one number."""
    return {name: np.full(2, value, np.float32) for name in NETWORK_TENSORS}


@dataclass
class Device:
    """One device: `gain` is added to the weights it is sent; `report` is what it makes known beside that."""

    seat: int
    gain: float = 1.0
    round: int = 0  # the last one its agent has kept
    refusal: str = ""  # its answer to `describe`, if any
    claims: dict[str, Any] = field(default_factory=dict)  # what it describes itself with, if not as it is
    failure: str = ""  # its answer to `train`, if any
    mute: bool = False
    deaf: int = 0  # so many train messages are lost on their way to it
    unheard: int = 0  # so many of its answers to train messages are lost
    unavailable: int = 0  # so many questions to describe itself the SuperLink answers in its place
    expired: bool = False  # of its first order Flower says that it is too old, and then it says nothing
    busy: bool = False  # it plays on: its answer comes when the team is next asked something
    report: dict[str, Any] = field(default_factory=dict)
    initial: Tensors = field(default_factory=lambda: filled(0.0))  # what it says that a run begins with
    tensors: Tensors = field(default_factory=lambda: filled(0.0))
    orders: list[dict[str, Any]] = field(default_factory=list)  # configs of its train messages
    sent: list[Tensors] = field(default_factory=list)  # what came with them


class Squad:
    """Answers messages; `devices` maps node ids to devices. A node without a device says nothing."""

    def __init__(self, devices: dict[int, Device], n_agents: int | None = None) -> None:
        self.devices = devices
        self.n_agents = n_agents or len(devices)
        self.asked: list[tuple[int, str]] = []  # node and message type, in order
        self._unanswered: list[Message] = []
        self.after: Callable[[], None] = lambda: None  # called when messages have been answered

    def __call__(self, messages: Sequence[Message]) -> Iterable[Message]:
        self.asked += [(message.metadata.dst_node_id, message.metadata.message_type) for message in messages]
        self._unanswered += messages
        replies = self._replies()
        self.after()
        return replies + self._replies()

    def _replies(self) -> list[Message]:
        replies = []
        questions, self._unanswered = self._unanswered, []
        for message in questions:
            device = self.devices.get(message.metadata.dst_node_id)
            kind = message.metadata.message_type
            if device is not None and device.unavailable and kind == "query.describe":
                replies.append(_expired(message))
                device.unavailable -= 1
            elif device is not None and device.expired and kind == "train":
                replies.append(_expired(message))
                device.mute = True
            elif device is not None and device.busy:
                self._unanswered.append(message)
            elif device is not None and not device.mute:
                replies += self._heard(device, message)
        return replies

    def _heard(self, device: Device, message: Message) -> list[Message]:
        """The answer, unless it or the message is lost."""
        kind = message.metadata.message_type
        if kind == "train" and device.deaf:
            device.deaf -= 1
            return []
        answer = self._answer(device, message, kind)
        if kind == "train" and device.unheard:
            device.unheard -= 1
            return []
        return [answer]

    def _answer(self, device: Device, message: Message, kind: str) -> Message:
        config: dict[str, Any] = dict(message.content.config_records["config"])
        if kind == "query.describe":
            if device.refusal:
                return _error(message, device.refusal)
            about = {"seat": device.seat, "round": device.round, "n-agents": self.n_agents, **device.claims}
            return _reply(message, {}, {name: value for name, value in about.items() if value is not None})
        if kind == "query.weights":
            return _reply(message, device.initial, {"seat": device.seat})
        device.orders.append(config)
        device.sent.append({name: a.numpy() for name, a in message.content.array_records["arrays"].items()})
        if device.failure:
            return _error(message, device.failure)
        device.tensors = {name: tensor + device.gain for name, tensor in (device.tensors | device.sent[-1]).items()}
        device.round = int(config["round"])
        report = {**_REPORT, "seat": device.seat, **device.report}
        return _reply(message, device.tensors, {name: value for name, value in report.items() if value is not None})


_REPORT: dict[str, Any] = {
    "steps": 100,
    "battles": 10,
    "missed": 0,
    "won": 4,
    "return-sum": 50.0,
    "training-steps": 10,
    "reward-sum": 30.0,
    "reward-battles": 10,
    "buffered": 10,
    "epsilon": 0.5,
    "seconds-waiting": 0.1,
    "seconds-acting": 0.2,
    "seconds-learning": 0.3,
}


def _reply(question: Message, tensors: Tensors, values: dict[str, Any]) -> Message:
    arrays = ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    numbers = {name: value for name, value in values.items() if name not in texts}
    content: dict[str, ArrayRecord | MetricRecord | ConfigRecord] = {
        "arrays": arrays,
        "metrics": MetricRecord(numbers),
        "config": ConfigRecord({"map": "3m", **texts}),
    }
    return Message(RecordDict(content), reply_to=question)


def _error(question: Message, reason: str) -> Message:
    """As Flower wraps what a ClientApp raises."""
    return Message(Error(0, f"<class 'client.launch.AgentError'>:<'{reason}'>"), reply_to=question)


def _expired(question: Message) -> Message:
    """As the SuperLink answers for a device when a message has reached its age."""
    answer = Message(Error(3, "Error: Message Unavailable"), reply_to=question)
    answer.metadata.__dict__["_src_node_id"] = SUPERLINK_NODE_ID
    return answer


class Field(InProcessGrid):
    """An InProcessGrid on which nodes come and go: `present` are those that Flower sees."""

    def __init__(self, squad: Squad) -> None:
        super().__init__(len(squad.devices), squad, make_run(1))
        self.present = set(squad.devices)
        self.out: list[str] = []  # message types of what was pushed last

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        pushed = list(messages)
        self.out = [message.metadata.message_type for message in pushed]
        return super().push_messages(pushed)

    def get_node_ids(self) -> Iterable[int]:
        return sorted(self.present)


def config_of(run: Settings) -> dict[str, Value]:
    """What every device is told of a run."""
    return {**run.config(), "run-id": "id", "protocol": 1, "version": "1"}


def rounds(grid: InProcessGrid, run: Settings, meanwhile: Callable[[], None] = lambda: None) -> Rounds:
    """The rounds of a run with its real strategy. Devices here move weights further than any optimiser does."""
    strategy = create_strategy(run.strategy, SharingSettings.from_config({**run.config(), "learning-rate": 1.0}, None))
    return Rounds(grid, run, strategy, config_of(run), meanwhile)
