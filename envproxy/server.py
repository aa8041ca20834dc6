"""A served env proxy: an event loop in a thread of its own, with gRPC on some addresses."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import grpc
import uvloop
from grpc_health.v1 import health_pb2_grpc

from envproxy.counters import ArenaCounters
from envproxy.health import Health
from envproxy.hosting import HostedArena
from envproxy.refusals import Refusals
from envproxy.service import BattleService
from envproxy.strangers import Strangers
from operations.listening import Address

# bytes; joint mixing's utilities may be large (`mixing.MAX_UTILITIES`), all else is not
MAX_SEAT_MESSAGE: Final = 4 * 1024 * 1024
_CHECK_EVERY: Final = 1.0  # seconds between two heartbeats
# On the same addresses and loop: each takes in one new call between two passes over all streams, which is few where
# hundreds of seats play and others come.
_SERVERS: Final = 8
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_SEAT_MESSAGE),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.so_reuseport", 1),  # with the processes of this env proxy: `operations.listening` keeps others out
    ("grpc.max_concurrent_streams", 100),  # of one connection
    ("grpc.http2.bdp_probe", 0),  # else gRPC takes in megabytes of a stream that is not read from
    ("grpc.server_handshake_timeout_ms", 10_000),  # a connection that says nothing is closed
    ("grpc.max_connection_idle_ms", 300_000),  # and so is one without calls
    ("grpc.keepalive_time_ms", 10_000),  # a device that lost its network frees its seat
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)

Credentials = Callable[[], grpc.ServerCredentials]
_Result = TypeVar("_Result")


class ProcessEndedError(Exception):
    """A process of the env proxy has ended, or does not answer; the message says which."""


@dataclass
class ProxyCounters:
    """The counters of an env proxy, or of one of its processes."""

    arenas: list[ArenaCounters] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)  # by reason

    def add(self, other: ProxyCounters) -> None:
        """Add those of another process."""
        self.arenas += other.arenas
        self.refused += other.refused


class EnvProxyServer:
    """Serves arenas until it is stopped. Any thread may call it."""

    def __init__(
        self,
        arenas: Sequence[HostedArena],
        addresses: Iterable[Address],
        credentials: Credentials | None = None,
        here: Collection[str] | None = None,
    ) -> None:
        """Start serving over TLS with `credentials`, else in plaintext.

        Arenas that are not `here` (None: all are) are played by other processes of this env proxy; of these, this one
        answers `Describe` and health checks alone. Raises OSError if an address cannot be listened on.
        """
        names = frozenset(arena.name for arena in arenas) if here is None else frozenset(here)
        self._arenas = [arena for arena in arenas if arena.name in names]
        self._refusals = Refusals()
        strangers = Strangers()
        service = BattleService({arena.name: arena for arena in arenas}, names, self._refusals, strangers)
        health = Health({arena.name: arena.status for arena in arenas}, strangers)
        self._loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._grace: float | None = None
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=self._run,
            args=(self._serve(service, health, tuple(addresses), credentials, started), started),
            name="envproxy",
            daemon=True,
        )
        self._thread.start()
        started.result()

    def check(self) -> None:
        """Raise ProcessEndedError if it has stopped by itself."""
        if not self._thread.is_alive():
            raise ProcessEndedError("the env proxy stopped serving; its log says why")

    def reload(self) -> None:
        """Do nothing: `credentials` look at the certificate for every connection."""

    def counters(self) -> ProxyCounters:
        """Return all counters, as they are now."""

        async def read() -> ProxyCounters:
            return ProxyCounters([arena.counters() for arena in self._arenas], Counter(self._refusals.counts))

        return self._call(read())

    def wake(self) -> None:
        """Let every arena check its clock."""

        async def check() -> None:
            for arena in self._arenas:
                arena.check_clock()

        self._call(check())

    def stop(self, grace: float | None = None) -> None:
        """Stop serving; streams that have not ended after `grace` seconds are cancelled, at once if it is None."""
        self._grace = grace
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _call(self, what: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def _run(self, serving: Coroutine[Any, Any, None], started: concurrent.futures.Future[None]) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(serving)
            except BaseException as error:
                if started.done():
                    raise
                started.set_exception(error)

    async def _serve(
        self,
        service: BattleService,
        health: Health,
        addresses: Sequence[Address],
        credentials: Credentials | None,
        started: concurrent.futures.Future[None],
    ) -> None:
        for arena in self._arenas:
            arena.attach(self._loop)
        servers = [_listening(service, health, addresses, credentials) for _ in range(_SERVERS)]
        for server in servers:
            await server.start()
        started.set_result(None)
        while not self._stop.is_set():
            for arena in self._arenas:
                arena.check_clock()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _CHECK_EVERY)
        await asyncio.gather(*(server.stop(self._grace) for server in servers))


def _listening(
    service: BattleService, health: Health, addresses: Iterable[Address], credentials: Credentials | None
) -> grpc.aio.Server:
    """Return a gRPC server that listens. Raises OSError if an address cannot be listened on."""
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((service.handlers(),))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    given = None if credentials is None else credentials()
    for address in addresses:
        try:
            if given is None:
                server.add_insecure_port(str(address))
            else:
                server.add_secure_port(str(address), given)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from None
    return server
