"""What an agent is asked and what it answers, and how that travels over the agent's socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from client import agent_pb2 as pb
from strategies.messages import FAILURE, MEMBERS, NUMBER, SET

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


class Part(NamedTuple):
    """What a message for several members of a device is for one of them."""

    number: int  # of the member
    request: Request


def parts_of(request: Request) -> list[Part]:
    """Take a message for several members apart, as `server.member_grid` puts it together. Raises KeyError."""
    parts = []
    for own in json.loads(request.config[MEMBERS]):
        head = f"{own[SET]}/"
        tensors = {name.removeprefix(head): tensor for name, tensor in request.tensors.items() if name.startswith(head)}
        parts.append(Part(int(own[NUMBER]), Request(request.kind, {**request.config, **own}, tensors)))
    return parts


def joined(replies: Mapping[int, Reply | str]) -> Reply:
    """Put the replies of several members together, by their numbers; a text says why there is none."""
    values: dict[str, Any] = {}
    tensors: Tensors = {}
    for number, reply in replies.items():
        if isinstance(reply, str):
            values[f"{number}/{FAILURE}"] = reply
            continue
        values |= {f"{number}/{name}": value for name, value in reply.values.items()}
        tensors |= {f"{number}/{name}": tensor for name, tensor in reply.tensors.items()}
    return Reply(values, tensors)


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
