"""A real env proxy on the loopback, and clients that speak its protocol over sockets, well or badly."""

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from envproxy import battle_pb2 as pb
from envproxy import battle_pb2_grpc, wire
from envproxy.arena import Arena
from envproxy.calls import SeatCall
from envproxy.hosting import HostedArena
from envproxy.protocol import ArenaEvent, Phase, PhaseEnd, Tick
from envproxy.rules import SMAC_RULES, Rules
from tests.envproxy.drill import Drill, collect, eager
from tests.serving import served
from tests.waiting import WAIT_LIMIT

PATIENCE = WAIT_LIMIT  # seconds after which a call that hangs fails a test
PLAY = "/pps_qmix.battle.v1.BattleService/Play"
_HANG_UP = object()


def bare(channel: grpc.Channel) -> Any:
    """The channel, for calls of bytes: the stubs of grpc want serializers, grpc does not."""
    return channel


class Client:
    """One stream of one seat. It sends whatever it is told to, right or wrong."""

    def __init__(self, address: str, arena: str, seat: int, token: str) -> None:
        self.arena, self.seat, self.token = arena, seat, token
        self.channel = grpc.insecure_channel(address)
        self.heard: list[ArenaEvent] = []
        stub = battle_pb2_grpc.BattleServiceStub(self.channel)  # type: ignore[no-untyped-call]
        seat_call = SeatCall(arena, seat, token)
        self.description = stub.Describe(
            pb.DescribeRequest(arena=arena), timeout=PATIENCE, metadata=seat_call.metadata()
        )
        self._outgoing: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._begin(seat_call)

    def _begin(self, seat_call: SeatCall) -> None:
        play = bare(self.channel).stream_stream(PLAY, response_deserializer=pb.ArenaMessage.FromString)
        outgoing = iter(self._outgoing.get, _HANG_UP)
        self.call: Any = play(outgoing, timeout=PATIENCE, metadata=seat_call.metadata())

    def call_as(self, **changes: Any) -> "Client":
        """Call once more; `changes` are what the call says wrongly of itself."""
        self.hang_up()
        self.call.cancel()
        self._outgoing = queue.SimpleQueue()
        self._begin(SeatCall(**{"arena": self.arena, "seat": self.seat, "token": self.token, **changes}))
        return self

    def join(self, proposal: Phase | None = None, **changes: Any) -> "Client":
        """Say the first word; `changes` are fields of it that are to be wrong."""
        phase_message = wire.phase_to(proposal or collect(battles=4))
        self.send(pb.SeatMessage(join=pb.Join(**{"phase": phase_message, **changes})))
        return self

    def send(self, message: pb.SeatMessage) -> None:
        self.send_bytes(message.SerializeToString())

    def send_bytes(self, message: bytes) -> None:
        self._outgoing.put(message)

    def act(self, actions: NDArray[np.uint8] | bytes, tick: int | None = None) -> None:
        if tick is None:
            tick = self.tick.tick
        self.send(pb.SeatMessage(act=pb.Act(tick=tick, actions=bytes(actions))))

    def propose(self, phase: Phase) -> None:
        self.send(pb.SeatMessage(propose=pb.Propose(phase=wire.phase_to(phase))))

    def hang_up(self) -> None:
        """Say that nothing more will be said."""
        self._outgoing.put(_HANG_UP)

    def close(self) -> None:
        self.hang_up()
        self.call.cancel()
        self.channel.close()

    def hear(self, count: int = 1) -> ArenaEvent:
        """Wait for `count` events; return the last."""
        for _ in range(count):
            self.heard.append(wire.event_from(next(self.call), self.description))
        return self.heard[-1]

    def refusal(self) -> tuple[grpc.StatusCode, str]:
        """Hear all that comes until the proxy ends the stream; return with which words."""
        try:
            while True:
                self.hear()
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
        except StopIteration:
            return self.call.code(), self.call.details()

    @property
    def tick(self) -> Tick:
        """The last event, which is a tick."""
        tick = self.heard[-1]
        assert isinstance(tick, Tick)
        return tick

    @property
    def end(self) -> PhaseEnd:
        """The last event, which is the end of a phase."""
        end = self.heard[-1]
        assert isinstance(end, PhaseEnd)
        return end


class Proxy:
    """The server of some arenas of one size, and the clients that play there."""

    def __init__(
        self,
        arenas: dict[str, Arena],
        seat_timeout: float = PATIENCE,
        port: int = 0,
        rules: Rules = SMAC_RULES,
        attest_key: bytes | None = None,
        seat_budget: float = 0.0,
    ) -> None:
        self.arena = next(iter(arenas.values()))
        self.hosted = [
            HostedArena(
                *(name, "drill", arena, self.tokens(name, arena.spec.n_agents), seat_timeout),
                *(seat_budget, rules, attest_key),
            )
            for name, arena in arenas.items()
        ]
        self._ends = ExitStack()
        self.server, self.port = self._ends.enter_context(served(self.hosted, port))
        self.address = f"127.0.0.1:{self.port}"
        self.clients: list[Client] = []

    @staticmethod
    def tokens(arena: str, seats: int) -> list[str]:
        return [f"{arena}-{seat}" for seat in range(seats)]

    def client(self, seat: int, arena: str = "main") -> Client:
        self.clients.append(Client(self.address, arena, seat, f"{arena}-{seat}"))
        return self.clients[-1]

    def team(self, phase: Phase | None = None, arena: str = "main", seats: int = 3) -> list[Client]:
        """Let all seats join and hear the first tick."""
        clients = [self.client(seat, arena).join(phase) for seat in range(seats)]
        for client in clients:
            client.hear(2)
        return clients

    def rejoin(self, seat: int, phase: Phase | None = None) -> Client:
        """Join as soon as the proxy has noticed that the seat is free."""
        while True:
            client = self.client(seat).join(phase)
            try:
                client.hear()
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                    raise
            else:
                return client

    def until_awaited(self, *seats: int) -> None:
        """Return when the first arena has heard all that was sent, and waits for these seats and no others."""
        while self.arena.awaited != list(seats):
            time.sleep(0.001)

    def hold(self, *seats: int) -> None:
        """As soon as the first arena waits for these seats and no others, let their time run out.

        So no test depends on how fast this machine is: nobody else can be late.
        """
        hosted = self.hosted[0]
        self.until_awaited(*seats)
        hosted._seat_timeout, patience = 0.001, hosted._seat_timeout
        while self.arena.awaited == list(seats):
            self.server.wake()
        while self.arena.awaited == list(seats):
            time.sleep(0.001)
        hosted._seat_timeout = patience

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self._ends.close()


Choose = Callable[[Tick, int], NDArray[np.uint8]]


def play_tick(clients: list[Client], choose: Choose = eager) -> None:
    """Let these seats answer and hear what comes of it."""
    for client in clients:
        client.act(choose(client.tick, client.seat))
    for client in clients:
        client.hear()


def play_out(clients: list[Client], choose: Choose = eager) -> list[PhaseEnd]:
    """Let these seats play to the end of the phase; return what they heard of it."""
    while isinstance(clients[0].heard[-1], Tick):
        play_tick(clients, choose)
    return [client.end for client in clients]


@pytest.fixture
def proxies() -> Iterator[Callable[..., Proxy]]:
    """Return how to start a proxy: of a drill called "main" with 3 seats and 2 battles, unless told otherwise."""
    started: list[Proxy] = []

    def start(arenas: dict[str, Arena] | None = None, **options: Any) -> Proxy:
        started.append(Proxy(arenas or {"main": Arena(Drill(2, length_of=lambda _: 3))}, **options))
        return started[-1]

    yield start
    for proxy in started:
        proxy.close()
