"""What an agent is asked and what it answers, and how that travels over the agent's socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from client import agent_pb2 as pb

_LIMIT = 256 * 1024 * 1024  # bytes of a message: the tensors of the largest map's agent, many times over
SOCKET_OPTIONS = [("grpc.max_receive_message_length", _LIMIT), ("grpc.max_send_message_length", _LIMIT)]

Tensors = dict[str, NDArray[np.float32]]


class MalformedRequestError(ValueError):
    """The bytes are not a message of the server; the text says what was expected."""


@dataclass(frozen=True)
class Request:
    """One message of the server: its kind, settings and orders, and tensors."""

    kind: str
    config: dict[str, Any]
    tensors: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """An agent's answer: values that are texts, numbers or lists of numbers, and tensors."""

    values: Mapping[str, Any]
    tensors: Tensors = field(default_factory=dict)


def request_to(request: Request) -> pb.Request:
    """Return a request as it travels."""
    return pb.Request(kind=request.kind, tensors=_packed(request.tensors), config=json.dumps(request.config))


def request_from(message: pb.Request) -> Request:
    """Read a request. Raises MalformedRequestError if its settings are not a JSON object or its tensors unreadable."""
    try:
        config, tensors = json.loads(message.config), _unpacked(message.tensors)
    except Exception as error:  # the bytes come from another process: they may cost an answer, and nothing else
        reason = str(error)[:200]
        raise MalformedRequestError(f"expected settings as a JSON object and safetensors: {reason}") from error
    if not isinstance(config, dict):
        raise MalformedRequestError(f"expected settings as a JSON object, found a {type(config).__name__}")
    return Request(message.kind, config, tensors)


def reply_to(reply: Reply) -> pb.Answer:
    """Return a reply as it travels."""
    return pb.Answer(tensors=_packed(reply.tensors), values=json.dumps(dict(reply.values)))


def reply_from(message: pb.Answer) -> Reply:
    """Read a reply."""
    return Reply(json.loads(message.values), _unpacked(message.tensors))


def _packed(tensors: Tensors) -> bytes:
    return save(tensors) if tensors else b""


def _unpacked(file: bytes) -> Tensors:
    return load(file) if file else {}
