"""Whatever comes in at an agent's socket, it says no, and the next question is answered."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from client import agent_pb2 as pb
from client.device import DeviceDirectory, DeviceError
from client.player import MemberPlayer
from client.resident import AgentService, serve
from operations.members import Member
from operations.sockets import grpc_target
from tests.waiting import WAIT_LIMIT

HANDLE = "/pps_qmix.agent.v1.AgentService/Handle"
PATIENCE = WAIT_LIMIT
REFUSALS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION}
EMPTY = save({})
WHOLE = save({"w": np.zeros((2, 3), np.float32)})

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
CONFIGS = st.one_of(JSON.map(json.dumps), st.text(max_size=40), st.just("[" * 100_000), st.just("9" * 10_000))
TENSORS = st.one_of(
    st.binary(max_size=64),
    st.integers(0, len(WHOLE)).map(lambda n: WHOLE[:n]),
    st.integers(0, 2**64 - 1).map(lambda n: n.to_bytes(8, "little") + b"{}"),  # a header that long
    st.just(WHOLE.replace(b"[2,3]", b"[9,9]")),  # a tensor larger than what came
)
KINDS = st.sampled_from(["describe", "weights", "train", ""]) | st.text(max_size=9)
QUESTIONS = st.builds(
    lambda kind, config, tensors: pb.Request(kind=kind, config=config, tensors=tensors).SerializeToString(),
    *(KINDS, CONFIGS, TENSORS | st.just(EMPTY)),
)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of an agent whose env proxy and token are out of reach: nothing it is asked can be done."""
    monkeypatch.setenv("PPS_HOME", str(tmp_path))
    service = AgentService(MemberPlayer(Member(0, 1), "127.0.0.1:1", lambda _: tmp_path / "none.token"))
    server = serve(service, tmp_path / "s")
    yield tmp_path / "s"
    server.stop(grace=None).wait()


def test_questions_whole_and_damaged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with grpc.insecure_channel(grpc_target(path)) as channel:
        ask = channel.unary_unary(HANDLE, None, None)

        def refusal(content: bytes) -> tuple[grpc.StatusCode, str]:
            with pytest.raises(grpc.RpcError) as refused:
                ask(content, timeout=PATIENCE)
            return refused.value.code(), str(refused.value.details())

        @settings(max_examples=80)
        @given(content=QUESTIONS | st.binary(max_size=64), kept=st.floats(0.5, 1.0))
        def hostile(content: bytes, kept: float) -> None:
            assert refusal(content[: round(kept * len(content))])[0] in REFUSALS

        hostile()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"\x00garbage" * 50)
        honest = pb.Request(kind="weights", config="{}", tensors=EMPTY).SerializeToString()
        code, words = refusal(honest)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "seat 1 has not met this run" in words
    assert not [record for record in caplog.records if record.exc_info or record.name.startswith("grpc")]
    assert all(len(record.getMessage()) < 500 for record in caplog.records if record.levelno >= logging.WARNING)


@pytest.mark.parametrize("run", ["../elsewhere", "/tmp/x", "", "a/b", "x" * 101, ".."])
def test_a_run_name_cannot_lead_to_another_folder(tmp_path: Path, run: str) -> None:
    with pytest.raises(DeviceError, match="a run is called"):
        DeviceDirectory(tmp_path, run, "id", 0)
