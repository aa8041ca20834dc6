"""Messages with few parts: what travels, and what both ends see of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid

from client.flower import message_from_reply, request_from_message
from client.messages import Reply, Request
from server.flower_internals import make_run
from server.grids import PackingGrid
from server.in_process_grid import InProcessGrid

TENSORS = {
    "fc1.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fc1.bias": np.array([np.pi, -0.0], np.float32),
    "empty": np.zeros((2, 0), np.float32),
}


class Device:
    """Takes every message apart as a ClientApp does and answers with what `reply` holds, or as `answer` says."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.reply = reply or Reply({})
        self.messages: list[Message] = []
        self.requests: list[Request] = []

    def __call__(self, messages: Sequence[Message]) -> Iterable[Message]:
        self.messages += messages
        self.requests += [request_from_message("train", message) for message in messages]
        return [self.answer(message) for message in messages]

    def answer(self, message: Message) -> Message:
        return message_from_reply(self.reply, message)


def grid_to(device: Device) -> Grid:
    return PackingGrid(InProcessGrid(1, device, make_run(1)))


def message(tensors: dict[str, np.ndarray]) -> Message:
    arrays = ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({"round": 3})})
    return Message(content, dst_node_id=1, message_type=MessageType.TRAIN, group_id="3", ttl=60.0)


def ask(grid: Grid, question: Message) -> Message:
    (reply,) = grid.pull_messages(grid.push_messages([question]))
    return reply


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert found[name].tobytes() == tensor.tobytes()


def test_tensors_arrive_bit_by_bit_and_travel_as_one_array() -> None:
    device = Device()
    grid = grid_to(device)
    question = message(TENSORS)
    ask(grid, question)
    same(device.requests[0].tensors, TENSORS)
    assert device.requests[0].config == {"round": 3}
    (travelled,) = device.messages
    assert len(travelled.content.array_records["arrays"]) == 1
    assert (travelled.metadata.group_id, travelled.metadata.ttl) == ("3", 60.0)
    assert question.content.array_records["arrays"].keys() == TENSORS.keys()
    ask(grid, question)  # a question may be asked again
    same(device.requests[1].tensors, TENSORS)


def test_a_reply_is_unfolded_for_the_strategy() -> None:
    device = Device(Reply({"seat": 0, "map": "3m"}, TENSORS))
    reply = ask(grid_to(device), message({}))
    same({name: array.numpy() for name, array in reply.content.array_records["arrays"].items()}, TENSORS)
    assert dict(reply.content.metric_records["metrics"]) == {"seat": 0}
    assert dict(reply.content.config_records["config"]) == {"map": "3m"}
    assert reply.metadata.src_node_id == 1


def test_records_without_anything_in_them_do_not_travel() -> None:
    device = Device(Reply({"seat": 0}))
    reply = ask(grid_to(device), message({}))
    assert list(device.messages[0].content) == ["config"]
    assert list(reply.content) == ["metrics"]
    assert device.requests[0].tensors == {}


@pytest.mark.parametrize("garbage", [np.zeros(3, np.uint8), np.full(40, 255, np.uint8), np.zeros(0)])
def test_what_cannot_be_read_comes_as_it_is(garbage: np.ndarray) -> None:
    class Liar(Device):
        def answer(self, message: Message) -> Message:
            arrays = ArrayRecord({"safetensors": Array(garbage)})
            return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord({"seat": 0})}), reply_to=message)

    reply = ask(grid_to(Liar()), message(TENSORS))
    assert list(reply.content.array_records["arrays"]) == ["safetensors"]  # no tensor's name: the strategy refuses it


def test_an_error_passes() -> None:
    class Broken(Device):
        def answer(self, message: Message) -> Message:
            return Message(Error(7, "no"), reply_to=message)

    reply = ask(grid_to(Broken()), message(TENSORS))
    assert (reply.error.code, reply.error.reason) == (7, "no")
