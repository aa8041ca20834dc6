"""A Grid on which every member has a node of its own, also where a device holds several members.

A device that holds several members gets one message for all of them, and answers with one: its SuperNode starts a
ClientApp for one message at a time, and members of one team must play at the same time. Above this Grid each member
has a place, which stands for it where Flower has a node: what is sent there at once is put together on its way out,
and the answer is taken apart on its way in. A device with a single seat has its node for a place, and its messages
pass unchanged.

A message for several members has the tensors "SET/NAME", each set once however many members begin with it, and
"members" in its config: a JSON list of objects with the number of the member, what its orders differ in, and the set
of its tensors. The answer has "NUMBER/NAME" in all its records; where a member has failed, "NUMBER/failure".
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

from server.flower_internals import UNKNOWN_ERROR, set_message_id, set_source
from server.grids import GridWrapper
from strategies.messages import ARRAYS, CONFIG, FAILURE, MEMBERS, METRICS, NUMBER, SET

_NODES: Final = 2**64  # Flower's ids are below


def place_of(node: int, number: int) -> int:
    """Return the place of a member, by its number, on a device that may hold several."""
    return node + (number + 1) * _NODES


def node_of(place: int) -> int:
    """Return the node of a place; of a device with a single seat it is the place itself."""
    return place % _NODES


def _number_of(place: int) -> int:
    """Return the number of the member whose place this is; -1 for a device with a single seat."""
    return place // _NODES - 1


class _Parts(NamedTuple):
    messages: list[Message]  # for each member, in the order of the places
    at: float  # when they were pushed; time.monotonic()


class MemberGrid(GridWrapper):
    """Another Grid, with a place for every member."""

    def __init__(self, inner: Grid) -> None:
        super().__init__(inner)
        self._parts: dict[str, _Parts] = {}  # by the id of a message for several members

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        parts = list(messages)
        self._forget_old()
        together: dict[tuple[int, str, str, int | None], list[int]] = {}
        for index, part in enumerate(parts):
            metadata = part.metadata
            alone = index if _number_of(metadata.dst_node_id) < 0 else None
            key = (node_of(metadata.dst_node_id), metadata.message_type, metadata.group_id, alone)
            together.setdefault(key, []).append(index)
        pushed = [
            parts[indices[0]] if key[-1] is not None else _together([parts[index] for index in indices])
            for key, indices in together.items()
        ]
        ids = [""] * len(parts)
        for (key, indices), id_ in zip(together.items(), self.inner.push_messages(pushed), strict=True):
            if key[-1] is not None:
                ids[indices[0]] = id_
                continue
            self._parts[id_] = _Parts([parts[index] for index in indices], time.monotonic())
            for index in indices:
                ids[index] = f"{id_}/{_number_of(parts[index].metadata.dst_node_id)}"
                set_message_id(parts[index], ids[index])
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        wanted = dict.fromkeys(id_.partition("/")[0] for id_ in message_ids)
        found: list[Message] = []
        for reply in self.inner.pull_messages(list(wanted)):
            parts = self._parts.pop(reply.metadata.reply_to_message_id, None)
            found += [reply] if parts is None else [_part_of(reply, part) for part in parts.messages]
        return found

    def _forget_old(self) -> None:
        """Forget messages that are too old to be answered: their tensors take memory."""
        now = time.monotonic()
        self._parts = {id_: each for id_, each in self._parts.items() if now < each.at + each.messages[0].metadata.ttl}

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise NotImplementedError("rounds push and pull")


def _together(parts: list[Message]) -> Message:
    """Return one message for the members of a device."""
    configs = [dict(part.content.config_records[CONFIG]) for part in parts]
    common = {name: value for name, value in configs[0].items() if all(own.get(name) == value for own in configs)}
    sets: dict[bytes, int] = {}
    arrays: dict[str, Array] = {}
    members = []
    for part, config in zip(parts, configs, strict=True):
        own = {name: value for name, value in config.items() if name not in common}
        tensors = part.content.array_records.get(ARRAYS) or ArrayRecord()
        found = sets.setdefault(_fingerprint(tensors), len(sets))
        arrays |= {f"{found}/{name}": array for name, array in tensors.items()}
        members.append({NUMBER: _number_of(part.metadata.dst_node_id), SET: found, **own})
    content = RecordDict({CONFIG: ConfigRecord({**common, MEMBERS: json.dumps(members)})})
    if arrays:
        content[ARRAYS] = ArrayRecord(arrays)
    metadata = parts[0].metadata
    return Message(
        content, node_of(metadata.dst_node_id), metadata.message_type, ttl=metadata.ttl, group_id=metadata.group_id
    )


def _fingerprint(tensors: Mapping[str, Array]) -> bytes:
    return b"\0".join(part for name, array in sorted(tensors.items()) for part in (name.encode(), array.data))


def _part_of(reply: Message, part: Message) -> Message:
    """Return what a device's answer says for one of its members, as the answer to `part`."""
    if reply.has_error():
        answer = Message(Error(reply.error.code, reply.error.reason), reply_to=part)
        if reply.metadata.src_node_id != node_of(part.metadata.dst_node_id):  # the SuperLink's word in its place
            set_source(answer, reply.metadata.src_node_id)
        return answer
    head = f"{_number_of(part.metadata.dst_node_id)}/"
    texts = _own(reply.content.config_records.get(CONFIG), head)
    metrics = _own(reply.content.metric_records.get(METRICS), head)
    if FAILURE in texts or not metrics:
        reason = str(texts.get(FAILURE, "its device has not answered for this member"))
        return Message(Error(UNKNOWN_ERROR, reason), reply_to=part)
    content = RecordDict({METRICS: MetricRecord(metrics)})
    if arrays := _own(reply.content.array_records.get(ARRAYS), head):
        content[ARRAYS] = ArrayRecord(arrays)
    if texts:
        content[CONFIG] = ConfigRecord(texts)
    return Message(content, reply_to=part)


def _own(record: Mapping[str, Any] | None, head: str) -> dict[str, Any]:
    """Return the values of one member."""
    return {name.removeprefix(head): value for name, value in (record or {}).items() if name.startswith(head)}
