"""A seat at the env proxy: finds out what the arena plays, and plays rounds over one gRPC stream."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self

import grpc

from client.play import Answer, Lost, Move, Round, RoundReport, StrangePhaseError, advance
from envproxy import battle_pb2 as pb
from envproxy import battle_pb2_grpc, wire
from envproxy.calls import ELSEWHERE, SeatCall
from envproxy.protocol import MixAnswer, Phase
from envproxy.transport import (
    ProxyAwayError,
    Transport,
    TransportError,
    UnreachableError,
    check_connection,
    open_channel,
)

log = logging.getLogger("agent")

_PATIENCE = {  # seconds that the env proxy is called again
    grpc.StatusCode.UNAVAILABLE: 120.0,  # it restarts, or the network is down
    grpc.StatusCode.DEADLINE_EXCEEDED: 120.0,  # it, or its machine, is stopped or overloaded
    grpc.StatusCode.CANCELLED: 120.0,
    grpc.StatusCode.ABORTED: 120.0,  # it gave the phase up, which no seat played any more
    grpc.StatusCode.ALREADY_EXISTS: 20.0,  # it has yet to notice that this seat's last stream is dead
}
_STOPPED = "stopped: the server has ordered another round"
_PAUSE = 1.0  # seconds between two calls
_DESCRIBE_TIMEOUT = 20.0  # seconds
_LOOPBACK = Transport()
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own: a new one may reach another process
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 10_000),  # a proxy that lost its network is noticed
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


class SeatSessionError(Exception):
    """The env proxy cannot be reached or refused what this seat wanted; the message says which and why."""


class SeatSession:
    """One seat of one arena. `play` may be called round after round; `stop` ends the one that is on, until `allow`."""

    def __init__(self, address: str, arena: str, seat: int, token: str, transport: Transport = _LOOPBACK) -> None:
        """Raises TransportError if the token would travel in plaintext."""
        self._address = address
        self._transport = transport
        self._arena = arena
        self._seat = seat
        self._metadata = SeatCall(arena, seat, token).metadata()
        self._connect()
        self._stopped = threading.Event()
        self._stream: _Stream | None = None
        self._proposal: Phase | None = None  # what the arena has not answered yet
        self._lost_since: float | None = None
        self._description: pb.ArenaDescription | None = None

    def describe(self) -> pb.ArenaDescription:
        """Ask what the arena plays; wait for an env proxy that has answered before. Raises SeatSessionError."""
        self._lost_since = None
        while True:
            try:
                description: pb.ArenaDescription = self._stub.Describe(
                    pb.DescribeRequest(arena=self._arena),
                    timeout=_DESCRIBE_TIMEOUT,
                    metadata=self._metadata,
                    wait_for_ready=True,
                )
            except grpc.RpcError as error:
                if self._description is None:
                    raise self._explain(error) from None
                self._check_lost(error)
            else:
                self._description = description
                return description
            if self._stopped.wait(_PAUSE):
                raise SeatSessionError(_STOPPED)

    def play(self, round_: Round) -> RoundReport:
        """Play a round to its end, also across restarts of the env proxy.

        Raises SeatSessionError if the proxy refuses this seat, stays away or plays what was not ordered, or `stop` was
        called and not `allow`.
        """
        sizes = self._description or self.describe()
        answer = self._noted(advance(round_, None))
        self._lost_since = None
        while not isinstance(answer, RoundReport):
            with _Stream(self._stub.Play, self._metadata) as stream:
                self._stream = stream
                if self._stopped.is_set():  # `stop` may have cancelled the stream before this one
                    raise SeatSessionError(_STOPPED)
                try:
                    return self._converse(stream, round_, answer, sizes)
                except grpc.RpcError as error:
                    elsewhere = _is_elsewhere(error)
                    if not elsewhere:
                        self._check_lost(error)
                except StrangePhaseError as error:
                    raise SeatSessionError(str(error)) from None
                except wire.MalformedError as error:
                    raise SeatSessionError(f"the env proxy at {self._address} sent a bad message: {error}") from None
            if elsewhere:
                self._channel.close()
                self._connect()
                continue
            if self._stopped.wait(_PAUSE):
                raise SeatSessionError(_STOPPED)
            # A proposal that was not answered stands: nothing was played, so nothing is lost.
            answer = self._proposal or self._noted(advance(round_, Lost()))
        return answer

    def stop(self) -> None:
        """End the round that is on, from another thread, and let none begin."""
        self._stopped.set()
        if self._stream is not None:
            self._stream.cancel()

    def allow(self) -> None:
        """Let rounds begin again after `stop`."""
        self._stopped.clear()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _connect(self) -> None:
        """Raises TransportError if the token would travel in plaintext."""
        self._channel = open_channel(self._address, self._transport, _OPTIONS)
        self._stub = battle_pb2_grpc.BattleServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def _converse(self, stream: _Stream, round_: Round, proposal: Answer, sizes: pb.ArenaDescription) -> RoundReport:
        """Play on one stream until the round is over. Raises grpc.RpcError when the stream breaks."""
        stream.send(self._join(proposal))
        while True:
            event = wire.event_from(stream.receive(), sizes)
            self._lost_since = None
            answer = self._noted(advance(round_, event))
            if isinstance(answer, RoundReport):
                return answer
            if answer is not None:
                stream.send(_message(answer))

    def _noted(self, answer: Answer | RoundReport) -> Answer | RoundReport:
        """Note whether `answer` is a proposal, which waits for the arena's answer from now on."""
        self._proposal = answer if isinstance(answer, Phase) else None
        return answer

    def _check_lost(self, error: grpc.RpcError) -> None:
        """Return if it is worth calling again. Raises SeatSessionError if not."""
        if self._stopped.is_set():
            raise SeatSessionError(_STOPPED) from None
        now = time.monotonic()
        self._lost_since = self._lost_since or now
        if now - self._lost_since >= _PATIENCE.get(error.code(), 0.0):
            raise self._explain(error) from None
        about = {"seat": self._seat, "arena": self._arena}
        log.warning("seat %d at %s: %s; calling again", self._seat, self._address, error.details(), extra=about)

    def _join(self, answer: Answer) -> pb.SeatMessage:
        if not isinstance(answer, Phase):
            raise TypeError(f"a stream begins with a proposal, not {answer!r}")
        return pb.SeatMessage(join=pb.Join(phase=wire.phase_to(answer)))

    def _explain(self, error: grpc.RpcError) -> SeatSessionError:
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            reached = True
            try:
                check_connection("env proxy", self._address, self._transport)
            except ProxyAwayError as away:
                return SeatSessionError(f"the {away}")
            except UnreachableError:
                reached = False  # as gRPC says, with more detail
            except TransportError as untrusted:
                return SeatSessionError(f"the {untrusted}")
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and reached:
                return SeatSessionError(
                    f"the env proxy at {self._address} takes connections but does not answer; "
                    "it, or its machine, is stopped or overloaded: look at its log, and start it again if it hangs"
                )
            return SeatSessionError(
                f"no env proxy answers at {self._address} ({error.details()}); "
                'start it with `pps-qmix envproxy`, or name its address in the node config: envproxy="HOST:PORT"'
            )
        return SeatSessionError(f"the env proxy at {self._address} says: {error.details()} [{error.code().name}]")


class _Stream:
    """A bidirectional call, one message at a time."""

    def __init__(self, call: Callable[..., Iterator[pb.ArenaMessage]], metadata: tuple[tuple[str, str], ...]) -> None:
        self._outgoing: queue.SimpleQueue[pb.SeatMessage | None] = queue.SimpleQueue()
        self._call = call(iter(self._outgoing.get, None), metadata=metadata)

    def send(self, message: pb.SeatMessage) -> None:
        self._outgoing.put(message)

    def receive(self) -> pb.ArenaMessage:
        """Raises grpc.RpcError if the call has failed; a call that the proxy ends is a failed one."""
        try:
            return next(self._call)
        except StopIteration:
            raise _EndedError from None

    def cancel(self) -> None:
        self._call.cancel()  # type: ignore[attr-defined]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._outgoing.put(None)
        self.cancel()


class _EndedError(grpc.RpcError):
    """The env proxy ended the stream without a reason: it is shutting down."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "the stream was ended"


def _is_elsewhere(error: grpc.RpcError) -> bool:
    """Whether another process of the env proxy plays the arena, so that another connection may reach it."""
    if not isinstance(error, grpc.Call):
        return False
    trailing: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()
    return any(key == ELSEWHERE for key, _ in trailing)


def _message(answer: Answer) -> pb.SeatMessage:
    if isinstance(answer, Move):
        return pb.SeatMessage(act=pb.Act(tick=answer.tick, actions=answer.actions.tobytes()))
    if isinstance(answer, Phase):
        return pb.SeatMessage(propose=pb.Propose(phase=wire.phase_to(answer)))
    if isinstance(answer, MixAnswer):
        return wire.mix_answer_to(answer)
    raise TypeError(f"nothing to send: {answer!r}")
