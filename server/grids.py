"""Grids around another Grid: each changes messages on their way between the ServerApp and Flower.

`PackingGrid` sends all tensors of a message as one array: Flower delivers every array of a message by two requests, at
each of its hops. `UnreadableReplyFilter` loses one reply, not all, where Flower cannot read what a device has sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

import httpx
import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.serverapp import Grid
from safetensors.numpy import load, save

from strategies.messages import ARRAYS, PACKED

if TYPE_CHECKING:
    from server.flower_internals import Run

log = logging.getLogger("server")


class GridWrapper(Grid):
    """Passes everything on to `inner`; what changes messages derives from it."""

    def __init__(self, inner: Grid) -> None:
        self.inner = inner

    def set_run(self, run: Run) -> None:
        self.inner.set_run(run)

    @property
    def run(self) -> Run:
        return self.inner.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return self.inner.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        return self.inner.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self.inner.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return self.inner.pull_messages(message_ids)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return self.inner.send_and_receive(messages, timeout=timeout)


class PackingGrid(GridWrapper):
    """Another Grid, with the tensors of every message packed on its way out and unpacked on its way in."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self.inner.push_messages([_packed(message) for message in messages])

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [_unpacked(message) for message in self.inner.pull_messages(message_ids)]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        packed = [_packed(message) for message in messages]
        return [_unpacked(message) for message in self.inner.send_and_receive(packed, timeout=timeout)]


class UnreadableReplyFilter(GridWrapper):
    """Another Grid, without the replies that Flower cannot read.

    Flower makes a message of the bytes that a device has sent, and raises if they are not one. All replies of the same
    call are lost then: the SuperLink says that they are unavailable. So after the first such failure replies are pulled
    one by one, which costs a call each, and only the sender loses its reply.
    """

    def __init__(self, inner: Grid) -> None:
        super().__init__(inner)
        self._one_by_one = False

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        ids = list(message_ids)
        if not self._one_by_one:
            found = self._pull(ids)
            if found is not None:
                return found
            self._one_by_one = True
        return [message for id_ in ids for message in self._pull([id_]) or []]

    def _pull(self, ids: list[str]) -> list[Message] | None:
        """Return the replies that have arrived, None if one cannot be read."""
        try:
            return list(self.inner.pull_messages(ids))
        except (httpx.HTTPError, OSError):  # not caused by a device
            raise
        except Exception as error:  # the bytes come from another machine, and only their sender may fail
            log.warning("a reply cannot be read (%r); the reply is ignored", error)
            return None


def _packed(message: Message) -> Message:
    """Return a packed copy: the sender may send the message once more. Empty records are left out."""
    content = RecordDict({name: record for name, record in message.content.items() if len(record)})
    if arrays := content.array_records.get(ARRAYS):
        file = save({name: array.numpy() for name, array in arrays.items()})
        content[ARRAYS] = ArrayRecord({PACKED: Array(np.frombuffer(file, np.uint8))})
    metadata = message.metadata
    return Message(content, metadata.dst_node_id, metadata.message_type, ttl=metadata.ttl, group_id=metadata.group_id)


def _unpacked(reply: Message) -> Message:
    """Return `reply` with its tensors; one that cannot be read stays as it came, for the strategy to refuse by name."""
    arrays = reply.content.array_records.get(ARRAYS) if reply.has_content() else None
    if arrays is not None and PACKED in arrays:
        try:
            tensors = load(arrays[PACKED].numpy().tobytes())
        except Exception:  # the bytes come from another machine, and only this reply may fail
            return reply
        reply.content[ARRAYS] = ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})
    return reply
