"""Several members on one device: one message out, one in, and a place for each above."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict

from server.flower_internals import make_run
from server.in_process_grid import InProcessGrid
from server.member_grid import MemberGrid, node_of, place_of

NODE = 2**63 + 5  # Flower's ids are as large


class Host:
    """A device: takes down the messages, and answers with `values` for each member that they name."""

    def __init__(self, error: str = "", silent: Sequence[int] = ()) -> None:
        self.messages: list[Message] = []
        self._error = error
        self._silent = silent

    def __call__(self, messages: Sequence[Message]) -> Iterable[Message]:
        self.messages += messages
        return [self._answer(message) for message in messages]

    def _answer(self, message: Message) -> Message:
        if self._error:
            return Message(Error(0, self._error), reply_to=message)
        config: dict[str, Any] = dict(message.content.config_records["config"])
        if "members" not in config:
            return Message(RecordDict({"metrics": MetricRecord({"seat": 7})}), reply_to=message)
        numbers = [own["number"] for own in json.loads(config["members"])]
        told = [number for number in numbers if number not in self._silent]
        content = RecordDict(
            {
                "metrics": MetricRecord({f"{number}/seat": number for number in told}),
                "config": ConfigRecord({f"{number}/failure": "no battles" for number in self._silent}),
                "arrays": ArrayRecord({f"{number}/w": Array(np.full(1, number, np.float32)) for number in told}),
            }
        )
        return Message(content, reply_to=message)


def grid(host: Host) -> MemberGrid:
    return MemberGrid(InProcessGrid(1, host, make_run(1)))


def train(place: int, weight: float, **own: int) -> Message:
    tensors = ArrayRecord({"w": Array(np.full(1, weight, np.float32))})
    config = ConfigRecord({"map": "3m", **own})
    return Message(RecordDict({"arrays": tensors, "config": config}), place, "train", group_id="1", ttl=60.0)


def test_a_place_is_of_a_node_and_that_of_a_single_seat_is_the_node() -> None:
    assert node_of(place_of(NODE, 0)) == node_of(place_of(NODE, 1001)) == node_of(NODE) == NODE
    assert len({NODE, *(place_of(NODE, number) for number in range(3))}) == 4


def test_what_goes_to_one_device_at_once_is_one_message_and_its_answer_is_each_members() -> None:
    host = Host()
    places = [place_of(NODE, number) for number in (3, 4)]
    over = grid(host)
    ids = list(over.push_messages([train(places[0], 1.0, seat=3), train(places[1], 2.0, seat=4)]))
    replies = {reply.metadata.reply_to_message_id: reply for reply in over.pull_messages(ids)}
    (message,) = host.messages
    assert message.metadata.dst_node_id == NODE
    assert [replies[id_].content["metrics"]["seat"] for id_ in ids] == [3, 4]
    assert [replies[id_].metadata.src_node_id for id_ in ids] == places
    assert [replies[id_].content.array_records["arrays"]["w"].numpy()[0] for id_ in ids] == [3.0, 4.0]


def test_tensors_that_are_the_same_travel_once_and_orders_that_are_the_same_too() -> None:
    host = Host()
    over = grid(host)
    over.push_messages([train(place_of(NODE, number), 1.0 + (number == 2), seat=number) for number in range(3)])
    over.pull_messages([])
    (message,) = host.messages
    config = dict(message.content.config_records["config"])
    members = json.loads(str(config["members"]))
    assert config["map"] == "3m"
    assert [own["set"] for own in members] == [0, 0, 1]
    assert [own["seat"] for own in members] == [0, 1, 2]
    assert sorted(message.content.array_records["arrays"]) == ["0/w", "1/w"]


def test_a_device_with_a_single_seat_is_sent_its_message_as_it_is() -> None:
    host = Host()
    over = grid(host)
    message = train(1, 1.0, seat=0)
    (id_,) = over.push_messages([message])
    (reply,) = over.pull_messages([id_])
    assert host.messages == [message]
    assert reply.content["metrics"]["seat"] == 7


def test_a_member_that_fails_does_not_cost_the_others_their_reply() -> None:
    over = grid(Host(silent=[4]))
    ids = list(over.push_messages([train(place_of(NODE, number), 1.0, seat=number) for number in (3, 4)]))
    first, second = over.pull_messages(ids)
    assert first.content["metrics"]["seat"] == 3
    assert (second.has_error(), second.error.reason) == (True, "no battles")


@pytest.mark.parametrize("number", [3, 4])
def test_a_device_that_fails_fails_for_all_its_members(number: int) -> None:
    over = grid(Host(error="out of memory"))
    ids = list(over.push_messages([train(place_of(NODE, each), 1.0, seat=each) for each in (3, 4)]))
    reply = {reply.metadata.src_node_id: reply for reply in over.pull_messages(ids)}[place_of(NODE, number)]
    assert reply.error.reason == "out of memory"
