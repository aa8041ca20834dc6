"""What an agent is asked and what it answers, as Flower messages.

All tensors of a message are one array, the bytes of a safetensors file: Flower delivers every array by requests of its
own. `server.grids` is the other end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from safetensors.numpy import load, save

from client.messages import Reply, Request

_PACKED = "safetensors"  # name of the one array


def request_from_message(kind: str, message: Message) -> Request:
    """Take a Flower message of the server apart. Raises KeyError if a record is missing."""
    config = message.content.config_records["config"]
    arrays = message.content.array_records.get("arrays")  # none came where nothing is sent
    return Request(kind, dict(config), load(arrays[_PACKED].numpy().tobytes()) if arrays else {})


def message_from_reply(reply: Reply, question: Message) -> Message:
    """Make the Flower message that answers `question`: records "arrays", "metrics" (numbers), "config" (texts)."""
    texts: dict[str, Any] = {name: value for name, value in reply.values.items() if isinstance(value, str)}
    numbers = {name: value for name, value in reply.values.items() if name not in texts}
    content = RecordDict({"metrics": MetricRecord(numbers)})
    if reply.tensors:
        content["arrays"] = ArrayRecord({_PACKED: Array(np.frombuffer(save(reply.tensors), np.uint8))})
    if texts:
        content["config"] = ConfigRecord(texts)
    return Message(content, reply_to=question)
