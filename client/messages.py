"""What an agent is asked and what it answers, and how that travels over the agent's socket."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from client import agent_pb2 as pb

DESCRIBE, WEIGHTS, TRAIN = "describe", "weights", "train"

_LIMIT = 256 * 1024 * 1024  # bytes of a message: the tensors of the largest map's agent, many times over
SOCKET_OPTIONS = [("grpc.max_receive_message_length", _LIMIT), ("grpc.max_send_message_length", _LIMIT)]

Tensors = dict[str, NDArray[np.float32]]


class MalformedRequestError(ValueError):
    """Bytes that are no message of the server; the text says what was expected."""


@dataclass(frozen=True)
class Request:
    """One message of the server: its kind, tensors, settings and orders."""

    kind: str
    config: dict[str, Any]
    tensors: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """An agent's answer: tensors; values that are texts, numbers or lists of numbers."""

    values: dict[str, Any]
    tensors: Tensors = field(default_factory=dict)


def request_to(request: Request) -> pb.Request:
    return pb.Request(kind=request.kind, tensors=save(request.tensors), config=json.dumps(request.config))


def request_from(message: pb.Request) -> Request:
    """Raises MalformedRequestError if settings or tensors are none."""
    try:
        config, tensors = json.loads(message.config), load(message.tensors)
    except Exception as error:  # whoever sent it: it may cost an answer, and nothing else
        reason = str(error)[:200]
        raise MalformedRequestError(f"expected settings as a JSON object and safetensors: {reason}") from error
    if not isinstance(config, dict):
        raise MalformedRequestError(f"expected settings as a JSON object, found a {type(config).__name__}")
    return Request(message.kind, config, tensors)


def reply_to(reply: Reply) -> pb.Answer:
    return pb.Answer(tensors=save(reply.tensors), values=json.dumps(reply.values))


def reply_from(message: pb.Answer) -> Reply:
    return Reply(json.loads(message.values), load(message.tensors))
