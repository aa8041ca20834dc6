"""Whatever comes in at the env proxy's port, it says no and plays on; what it logs is a line, and short."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envproxy import battle_pb2 as pb
from envproxy import strangers, wire
from envproxy.arena import Arena
from envproxy.calls import SeatCall
from tests.envproxy.conftest import PATIENCE, PLAY, Client, Proxy, bare, play_out
from tests.envproxy.drill import Drill, collect

COLLECT = pb.PHASE_KIND_COLLECT
DESCRIBE = PLAY.replace("/Play", "/Describe")
REFUSALS = {  # what the service says itself; UNKNOWN and INTERNAL are accidents
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNAUTHENTICATED,
}
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
NUMBERS = st.sampled_from([0, 1, 2, 255, 2**31, 2**32 - 1]) | U32


SEAT = SeatCall("main", 0, "main-0").metadata()


def _join(**changes: Any) -> pb.SeatMessage:
    return pb.SeatMessage(join=pb.Join(**{"phase": wire.phase_to(collect(battles=2)), **changes}))


PHASES = st.builds(
    lambda seed, round_, kind, battles, index, seats: pb.Phase(
        seed=seed,
        round=round_,
        kind=kind,
        battles=battles,
        standing=pb.Standing(index=index, battles=battles),
        seats=seats,
    ),
    *(U64, NUMBERS, st.integers(0, 3), NUMBERS, NUMBERS, st.lists(NUMBERS, max_size=3) | st.just(range(5000))),
)
ORDERS = st.builds(
    pb.MixOrder,
    **{"run": st.text(max_size=9), "base": st.sampled_from(["vdn", "qmix", "x"]), "batch_size": NUMBERS},
    **{"buffer_size": NUMBERS, "learning_rate": st.floats(), "gamma": st.floats(), "target_update_every": NUMBERS},
)
MESSAGES = st.one_of(
    st.builds(lambda phase: _join(phase=phase), PHASES),
    st.builds(lambda phase: pb.SeatMessage(propose=pb.Propose(phase=phase)), PHASES),
    st.builds(
        lambda order: pb.SeatMessage(propose=pb.Propose(phase=pb.Phase(kind=COLLECT, mixing=order))),
        ORDERS,
    ),
    st.builds(lambda tick, actions: pb.SeatMessage(act=pb.Act(tick=tick, actions=actions)), U64, st.binary(max_size=9)),
    st.builds(
        lambda steps, battles, content: pb.SeatMessage(
            mix_utilities=pb.MixUtilities(steps=steps, battles=battles, chosen=content, bootstrap=content)
        ),
        *(NUMBERS, NUMBERS, st.binary(max_size=16)),
    ),
    st.builds(lambda ids: pb.SeatMessage(mix_holdings=pb.MixHoldings(battles=ids)), st.binary(max_size=17)),
).map(lambda message: message.SerializeToString())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a message, most often cut off or with a byte changed; or no message at all."""
    content = bytearray(draw(MESSAGES | st.binary(max_size=64)))
    way = draw(st.sampled_from(["whole", "cut", "changed"]))
    if content and way != "whole":
        place = draw(st.integers(0, len(content) - 1))
        if way == "cut":
            return bytes(content[:place])
        content[place] = draw(st.integers(0, 255))
    return bytes(content)


@pytest.fixture
def proxy(proxies: Callable[..., Proxy], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """A proxy of one seat: whatever is said to it, it waits for nobody else."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(strangers, "RATE", 1e6)
    return proxies({"main": Arena(Drill(2, n_agents=1))})


def is_well(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    """An honest client plays a phase, and there is no stack trace and no endless line in the log."""
    (end,) = play_out([_seated(proxy)])
    assert end.battles == 2
    assert not [record for record in caplog.records if record.exc_info or record.name.startswith("grpc")]
    assert max(map(len, caplog.messages)) < 500
    assert not any("\n" in message for message in caplog.messages)


def _seated(proxy: Proxy) -> Client:
    client = proxy.rejoin(0, collect(battles=2))
    client.hear()
    return client


def said(channel: grpc.Channel, *messages: bytes, metadata: object = SEAT) -> grpc.StatusCode:
    """Return how a stream ends that says this, of a seat with its token unless `metadata` has it otherwise."""
    call = bare(channel).stream_stream(PLAY)(iter(messages), timeout=PATIENCE, metadata=metadata)
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        pass
    code: grpc.StatusCode = call.code()
    return code


def test_streams_of_messages_of_every_kind_whole_and_damaged(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    with grpc.insecure_channel(proxy.address) as channel:

        @settings(max_examples=60)
        @given(first=damaged(), later=st.lists(damaged(), max_size=2))
        def hostile(first: bytes, later: list[bytes]) -> None:
            assert said(channel, first, *later) in REFUSALS | {grpc.StatusCode.OK}

        @settings(max_examples=60)
        @given(later=st.lists(damaged(), min_size=1, max_size=3))
        def hostile_with_a_token(later: list[bytes]) -> None:
            assert said(channel, _join().SerializeToString(), *later) in REFUSALS | {grpc.StatusCode.OK}

        hostile()
        hostile_with_a_token()
    is_well(proxy, caplog)


def test_questions_of_any_bytes(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    with grpc.insecure_channel(proxy.address) as channel:
        ask = bare(channel).unary_unary(DESCRIBE)

        @settings(max_examples=40)
        @given(
            st.binary(max_size=40)
            | st.text(max_size=200).map(lambda t: pb.DescribeRequest(arena=t).SerializeToString())
        )
        def hostile(content: bytes) -> None:
            with pytest.raises(grpc.RpcError) as refused:
                ask(content, timeout=PATIENCE)
            assert refused.value.code() in REFUSALS

        hostile()
    is_well(proxy, caplog)


@pytest.mark.parametrize("squeezed", [False, True], ids=["oversized", "compressed"])
def test_a_message_that_is_too_large_also_when_it_does_not_look_it(
    proxy: Proxy, caplog: pytest.LogCaptureFixture, squeezed: bool
) -> None:
    compression = grpc.Compression.Gzip if squeezed else None
    with grpc.insecure_channel(proxy.address, compression=compression) as channel:
        assert said(channel, bytes(32 * 1024 * 1024)) is grpc.StatusCode.RESOURCE_EXHAUSTED
    is_well(proxy, caplog)


METADATA = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=3000)


def test_metadata_of_any_text(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    with grpc.insecure_channel(proxy.address) as channel:

        @settings(max_examples=60)
        @given(key=st.sampled_from([key for key, _ in SEAT]), text=METADATA)
        def hostile(key: str, text: str) -> None:
            changed = tuple((name, text if name == key else value) for name, value in SEAT)
            assert said(channel, metadata=changed) in REFUSALS

        hostile()
    is_well(proxy, caplog)


def test_metadata_that_is_too_large(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    with grpc.insecure_channel(proxy.address) as channel:
        large = (*SEAT[:3], ("authorization", "x" * 100_000))
        assert said(channel, metadata=large) is grpc.StatusCode.RESOURCE_EXHAUSTED
    is_well(proxy, caplog)


def test_bytes_that_are_no_http(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    starts = st.sampled_from([b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"])

    @settings(max_examples=20)
    @given(start=starts, rest=st.binary(max_size=200))
    def hostile(start: bytes, rest: bytes) -> None:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as connection:
            connection.sendall(start + rest)

    hostile()
    is_well(proxy, caplog)
