"""Messages of the server and an agent's answers, as Flower messages.

All tensors of a message are one array, the bytes of a safetensors file: Flower delivers every array by separate
requests. `server.grids.PackingGrid` is the other end.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from client import agent_pb2 as pb
from client.messages import Reply, Request, reply_to, request_from
from strategies.messages import ARRAYS, CONFIG, METRICS, PACKED


def config_of(message: Message) -> dict[str, Any]:
    """Return the settings and orders of a message. Raises KeyError if it has none."""
    return dict(message.content.config_records[CONFIG])


def pack_request(kind: str, message: Message) -> pb.Request:
    """Return a message of the server for the agent's socket; its tensors pass as bytes. Raises KeyError as above."""
    arrays = message.content.array_records.get(ARRAYS)  # absent where nothing is sent
    tensors = arrays[PACKED].numpy().tobytes() if arrays else b""
    return pb.Request(kind=kind, tensors=tensors, config=json.dumps(config_of(message)))


def message_from_answer(answer: pb.Answer, question: Message) -> Message:
    """Return the Flower message that answers `question`; the tensors pass as bytes."""
    values: dict[str, Any] = json.loads(answer.values)
    texts: dict[str, Any] = {name: value for name, value in values.items() if isinstance(value, str)}
    numbers = {name: value for name, value in values.items() if name not in texts}
    content = RecordDict({METRICS: MetricRecord(numbers)})
    if answer.tensors:
        content[ARRAYS] = ArrayRecord({PACKED: Array(np.frombuffer(answer.tensors, np.uint8))})
    if texts:
        content[CONFIG] = ConfigRecord({**texts})
    return Message(content, reply_to=question)


def request_from_message(kind: str, message: Message) -> Request:
    """Return a message of the server, with its tensors. Raises KeyError as above, and MalformedRequestError."""
    return request_from(pack_request(kind, message))


def message_from_reply(reply: Reply, question: Message) -> Message:
    """Return the Flower message with which an agent answers `question`."""
    return message_from_answer(reply_to(reply), question)
