"""Replies that are no messages, through Flower's own Grid: only their sender loses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import httpx
import pytest
from flwr.app import Message, MetricRecord, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.message_pb2 import (  # pylint: disable=no-name-in-module
    ConfirmMessageReceivedRequest,
    ConfirmMessageReceivedResponse,
    ObjectTree,
    PullObjectRequest,
    PullObjectResponse,
)
from flwr.proto.runtime_pb2 import PullAppMessagesRequest, PullAppMessagesResponse
from flwr.supercore.inflatable.inflatable_object import get_object_id
from flwr.supercore.inflatable.inflatable_utils import validate_object_content
from flwr.superlink.grid.http_grid import HttpGrid

from server.flower_internals import make_run
from server.grids import PackingGrid, UnreadableReplyFilter

pytestmark = pytest.mark.usefixtures("flower_identity")


class SuperLink:
    """Answers as a SuperLink, each reply once: `replies` maps a question to a reply's objects, the outermost first."""

    def __init__(self, replies: dict[str, list[bytes]]) -> None:
        self.replies = replies
        self.asked: list[list[str]] = []
        self.objects = {get_object_id(content): content for each in replies.values() for content in each}

    def PullMessages(self, request: PullAppMessagesRequest) -> PullAppMessagesResponse:  # noqa: N802
        self.asked.append(list(request.message_ids))
        found = {question: self.replies.pop(question) for question in request.message_ids if question in self.replies}
        return PullAppMessagesResponse(
            messages_list=[message_to_proto(remove_content_from_message(header(*each))) for each in found.items()],
            message_object_trees=[tree(each) for each in found.values()],
        )

    def PullObject(self, request: PullObjectRequest) -> PullObjectResponse:  # noqa: N802
        content = self.objects[request.object_id]
        validate_object_content(content)  # as a SuperLink does when an object comes in
        return PullObjectResponse(object_found=True, object_available=True, object_content=content)

    def ConfirmMessageReceived(  # noqa: N802
        self, request: ConfirmMessageReceivedRequest
    ) -> ConfirmMessageReceivedResponse:
        return ConfirmMessageReceivedResponse()


def question(name: str) -> Message:
    asked = Message(RecordDict(), dst_node_id=5, message_type="train", group_id="1")
    asked.metadata.__dict__["_message_id"] = name
    return asked


def header(name: str, objects: list[bytes]) -> Message:
    """What the SuperLink knows of a reply beside its objects."""
    made = Message(RecordDict(), reply_to=question(name))
    made.metadata.__dict__["_message_id"] = get_object_id(objects[0])
    return made


def tree(objects: list[bytes]) -> ObjectTree:
    first, *rest = objects
    return ObjectTree(object_id=get_object_id(first), children=[tree(rest)] if rest else [])


def thing(kind: str, body: bytes, *children: bytes) -> bytes:
    """An object in Flower's format."""
    return f"{kind} {','.join(map(get_object_id, children))} {len(body)}".encode() + b"\0" + body


def body(content: bytes) -> bytes:
    return content.split(b"\0", 1)[1]


def sound(name: str) -> list[bytes]:
    metrics = MetricRecord({"seat": 1})
    content = RecordDict({"metrics": metrics})
    return [each.deflate() for each in (Message(content, reply_to=question(name)), content, metrics)]


def without_a_child(name: str) -> list[bytes]:
    return [thing("Message", body(sound(name)[0]))]


def of_garbage(name: str) -> list[bytes]:
    metrics = thing("MetricRecord", b"\xff\xff\xff garbage")
    content = thing("RecordDict", json.dumps({"metrics": get_object_id(metrics)}).encode(), metrics)
    return [thing("Message", body(sound(name)[0]), content), content, metrics]


def of_another_kind(name: str) -> list[bytes]:
    metrics = sound(name)[2]
    return [thing("Message", body(sound(name)[0]), metrics), metrics]


def of_no_message(name: str) -> list[bytes]:
    return [thing("Message", b"\xff\xff"), *sound(name)[1:2]]


def grid_to(superlink: SuperLink) -> UnreadableReplyFilter:
    inner = HttpGrid(token="t", insecure=True)
    inner._client = superlink  # type: ignore[assignment]
    inner.set_run(make_run(1))
    return UnreadableReplyFilter(inner)


def answered(replies: Iterable[Message]) -> list[str]:
    return [reply.metadata.reply_to_message_id for reply in replies]


@pytest.mark.parametrize("malformed", [without_a_child, of_garbage, of_another_kind, of_no_message])
def test_a_reply_that_is_not_a_message_affects_only_its_sender(
    malformed: Callable[[str], list[bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    superlink = SuperLink({"a": sound("a"), "b": malformed("b")})
    superlink.replies |= {"c": sound("c")}
    superlink.objects |= {get_object_id(each): each for each in sound("c")}
    grid = PackingGrid(grid_to(superlink))
    assert answered(grid.pull_messages(["a"])) == ["a"]
    assert answered(grid.pull_messages(["b", "c"])) == []  # Flower has lost both
    assert "a reply cannot be read" in caplog.text

    later = {"d": sound("d"), "e": malformed("e"), "f": sound("f")}
    superlink.replies |= later
    superlink.objects |= {get_object_id(each): each for objects in later.values() for each in objects}
    assert answered(grid.pull_messages(["d", "e", "f"])) == ["d", "f"]
    assert superlink.asked == [["a"], ["b", "c"], ["b"], ["c"], ["d"], ["e"], ["f"]]


def test_an_unreachable_superlink_is_not_an_unreadable_reply() -> None:
    class Away(SuperLink):
        def PullMessages(self, request: PullAppMessagesRequest) -> PullAppMessagesResponse:  # noqa: N802
            raise httpx.ConnectError("refused")

    with pytest.raises(httpx.ConnectError):
        grid_to(Away({})).pull_messages(["a"])
