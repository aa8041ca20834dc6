"""Messages with few parts: Flower delivers every array of a message by two requests of its own, at each of its hops.

So all tensors of a message travel as one array, the bytes of a safetensors file, and empty records stay at home.
Strategies know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict
from safetensors.numpy import load, save

from server.outer_grid import OuterGrid

FOLDED = "safetensors"  # name of the one array; devices (`client.flower`) know it by the same name


class FoldingGrid(OuterGrid):
    """Another Grid, with the tensors of every message folded on its way out and unfolded on its way in."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self.inner.push_messages([_folded(message) for message in messages])

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [_unfolded(message) for message in self.inner.pull_messages(message_ids)]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        folded = [_folded(message) for message in messages]
        return [_unfolded(message) for message in self.inner.send_and_receive(folded, timeout=timeout)]


def _folded(message: Message) -> Message:
    """A copy: whoever made the message may send it once more."""
    content = RecordDict({name: record for name, record in message.content.items() if len(record)})
    if arrays := content.array_records.get("arrays"):
        file = save({name: array.numpy() for name, array in arrays.items()})
        content["arrays"] = ArrayRecord({FOLDED: Array(np.frombuffer(file, np.uint8))})
    metadata = message.metadata
    return Message(content, metadata.dst_node_id, metadata.message_type, ttl=metadata.ttl, group_id=metadata.group_id)


def _unfolded(reply: Message) -> Message:
    """`reply` with its tensors. What cannot be read is left as it came, for the strategy to refuse by name."""
    arrays = reply.content.array_records.get("arrays") if reply.has_content() else None
    if arrays is not None and FOLDED in arrays:
        try:
            tensors = load(arrays[FOLDED].numpy().tobytes())
        except Exception:  # the bytes come from another machine: whatever they hold, only this reply may fail
            return reply
        reply.content["arrays"] = ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})
    return reply
