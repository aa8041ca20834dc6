"""Messages with few parts: Flower delivers every array of a message by two requests of its own, at each of its hops.

So all tensors of a message travel as one array, the bytes of a safetensors file, and empty records stay at home.
Strategies know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from safetensors.numpy import load, save

FOLDED = "safetensors"  # name of the one array; devices (`client.flower`) know it by the same name


class FoldingGrid(Grid):
    """Another Grid, with the tensors of every message folded on its way out and unfolded on its way in."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def set_run(self, run: Run) -> None:
        self._grid.set_run(run)

    @property
    def run(self) -> Run:
        return self._grid.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self._grid.push_messages([_folded(message) for message in messages])

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [_unfolded(message) for message in self._grid.pull_messages(message_ids)]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        folded = [_folded(message) for message in messages]
        return [_unfolded(message) for message in self._grid.send_and_receive(folded, timeout=timeout)]


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
