"""What an agent is asked and what it answers, as Flower messages."""

from __future__ import annotations

from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from client.messages import Reply, Request


def request_from_message(kind: str, message: Message) -> Request:
    """Take a Flower message of the server apart. Raises KeyError if a record is missing."""
    config = message.content.config_records["config"]
    arrays = message.content.array_records.get("arrays", ArrayRecord())
    return Request(kind, dict(config), {name: array.numpy() for name, array in arrays.items()})


def message_from_reply(reply: Reply, question: Message) -> Message:
    """Make the Flower message that answers `question`: records "arrays", "metrics" (numbers), "config" (texts)."""
    texts: dict[str, Any] = {name: value for name, value in reply.values.items() if isinstance(value, str)}
    numbers = {name: value for name, value in reply.values.items() if name not in texts}
    content = RecordDict(
        {
            "arrays": ArrayRecord({name: Array(tensor) for name, tensor in reply.tensors.items()}),
            "metrics": MetricRecord(numbers),
            "config": ConfigRecord(texts),
        }
    )
    return Message(content, reply_to=question)
