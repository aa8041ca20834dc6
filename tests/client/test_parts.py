"""Both ends of a message for several members understand each other: the server's Grid, and a device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from client.flower import message_from_reply, request_from_message
from client.messages import Part, Reply, joined, parts_of
from server.flower_internals import make_run
from server.grids import PackingGrid
from server.in_process_grid import InProcessGrid
from server.member_grid import MemberGrid, place_of

NODE = 1


class Device:
    """Answers each part with its number, its tensors and one more; a member without a seat in its config fails."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def __call__(self, messages: Sequence[Message]) -> Iterable[Message]:
        return [self._answer(message) for message in messages]

    def _answer(self, message: Message) -> Message:
        parts = parts_of(request_from_message("train", message))
        self.parts += parts
        replies: dict[int, Reply | str] = {part.number: _reply(part) for part in parts}
        return message_from_reply(joined(replies), message)


def _reply(part: Part) -> Reply | str:
    if "seat" not in part.request.config:
        return "no seat"
    tensors = {name: tensor + part.number for name, tensor in part.request.tensors.items()}
    return Reply({"seat": part.number, "evaluate-won": [1, 2], "attested": "word"}, tensors)


def train(number: int, weight: float, **own: Any) -> Message:
    tensors = ArrayRecord({"w": Array(np.full(2, weight, np.float32))})
    config = ConfigRecord({"map": "3m", **own})
    return Message(
        RecordDict({"arrays": tensors, "config": config}), place_of(NODE, number), "train", group_id="1", ttl=60.0
    )


def test_each_member_gets_its_own_orders_and_tensors_and_answers_for_itself() -> None:
    device = Device()
    grid = MemberGrid(PackingGrid(InProcessGrid(1, device, make_run(1))))
    orders = [train(3, 1.0, seat=3, seats=[0, 1]), train(4, 1.0, seat=4, seats=[0, 1]), train(7, 5.0, seat=7)]
    replies = list(grid.pull_messages(grid.push_messages(orders)))
    assert [part.number for part in device.parts] == [3, 4, 7]
    assert [part.request.config["seat"] for part in device.parts] == [3, 4, 7]
    assert [part.request.config.get("seats") for part in device.parts] == [[0, 1], [0, 1], None]
    assert [part.request.config["map"] for part in device.parts] == ["3m"] * 3
    assert [float(part.request.tensors["w"][0]) for part in device.parts] == [1.0, 1.0, 5.0]
    assert [reply.metadata.src_node_id for reply in replies] == [place_of(NODE, number) for number in (3, 4, 7)]
    assert [reply.content["metrics"]["seat"] for reply in replies] == [3, 4, 7]
    assert [reply.content["config"]["attested"] for reply in replies] == ["word"] * 3
    assert [float(reply.content.array_records["arrays"]["w"].numpy()[0]) for reply in replies] == [4.0, 5.0, 12.0]


def test_a_member_that_fails_is_told_alone() -> None:
    grid = MemberGrid(PackingGrid(InProcessGrid(1, Device(), make_run(1))))
    first, second = grid.pull_messages(grid.push_messages([train(0, 1.0, seat=0), train(1, 1.0)]))
    assert first.content["metrics"]["seat"] == 0
    assert second.error.reason == "no seat"
