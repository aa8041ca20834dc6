"""Unix sockets in folders of any name, however long: gRPC and the system listen and connect there."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import operations.sockets
from operations.sockets import LONGEST_PATH, can_listen, grpc_target, reached
from tests.nasty import NOT_UTF8, names
from tests.waiting import WAIT_LIMIT

LIMIT = WAIT_LIMIT  # seconds


class Echo(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
    def service(self, _: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


@contextmanager
def echoing(path: Path) -> Iterator[None]:
    """A gRPC server at a socket."""
    with ThreadPoolExecutor(1) as pool, reached(path) as short:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((Echo(),))
        server.add_insecure_port(grpc_target(short))
        server.start()
        yield
        server.stop(grace=None).wait()


def echoed(path: Path) -> bytes:
    with reached(path) as short, grpc.insecure_channel(grpc_target(short)) as channel:
        answer: bytes = channel.unary_unary("/echo/echo", None, None)(b"hello", timeout=LIMIT)
        return answer


@settings(max_examples=40, deadline=None)
@given(folders=st.lists(names(NOT_UTF8), min_size=1, max_size=3))
@example(folders=["a #?%b"])
@example(folders=["a%20b"])
@example(folders=["a,b"])
@example(folders=["-x", "\n", NOT_UTF8])
@example(folders=["l" * 255] * 10)
def test_grpc_and_the_system_meet_in_a_folder_of_any_name(folders: list[str]) -> None:
    with tempfile.TemporaryDirectory() as base:
        path = Path(base, *folders, "agent.sock")
        path.parent.mkdir(parents=True)
        with echoing(path):
            assert path.is_socket()
            assert echoed(path) == b"hello"
            with reached(path) as short, socket.socket(socket.AF_UNIX) as connection:
                connection.connect(os.fsencode(short))
        assert not path.exists()  # nor is it left elsewhere
        assert [each for each in Path(base).rglob("*") if not each.is_dir()] == []


def test_a_path_that_is_short_stays(tmp_path: Path) -> None:
    path = Path("/") / ("s" * (LONGEST_PATH - 1))
    with reached(path) as short:
        assert short == path
    assert can_listen(path / "longer")


def test_a_path_is_open_as_long_as_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 40) / "s"
    path.parent.mkdir()
    open_before = set(os.listdir("/proc/self/fd"))
    with reached(path) as short:
        assert len(os.fsencode(short)) <= LONGEST_PATH
        assert os.path.samefile(short.parent, path.parent)
    assert set(os.listdir("/proc/self/fd")) == open_before
    with pytest.raises(FileNotFoundError), reached(tmp_path / ("none" * 40) / "s"):
        pass


def test_a_system_that_has_no_way_to_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations.sockets, "_DESCRIPTORS", tmp_path / "none")
    path = tmp_path / ("long" * 40) / "s"
    assert can_listen(Path("/short"))
    assert not can_listen(Path("/with,comma"))
    assert not can_listen(path)
    with pytest.raises(OSError, match="File name too long"), reached(path):
        pass
