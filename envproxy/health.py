"""`grpc.health.v1`: whether an env proxy, or one arena of it, is alive. `python -m envproxy.health` asks.

    python -m envproxy.health HOST:PORT [--arena NAME] [--root-certificates FILE]

Exit code 0 if it serves, 1 if not. An arena serves while the event loop that plays it gives signs of life.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from envproxy.arena_status import ArenaStatus
from envproxy.strangers import Strangers
from envproxy.transport import Transport, TransportError, open_channel

_CHECK_EVERY: Final = 1.0  # seconds between two checks for a watcher
_PATIENCE: Final = 5.0  # seconds that we wait for an answer
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN: Final = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Health of arenas, by name; of all of them for the service ""."""

    def __init__(self, statuses: Mapping[str, ArenaStatus], strangers: Strangers) -> None:
        self._statuses = statuses
        self._strangers = strangers

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        if not await self._strangers.turn(context.peer()):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls come from here")
        if request.service and request.service not in self._statuses:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"arena {request.service[:80]!a} is not served here")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        if not await self._strangers.turn(context.peer()):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls come from here")
        told = None
        while True:
            status = self._status(request.service)
            if status != told:
                yield health_pb2.HealthCheckResponse(status=status)
                told = status
            await asyncio.sleep(_CHECK_EVERY)

    def _status(self, service: str) -> int:
        if service and service not in self._statuses:
            return int(_UNKNOWN)
        statuses = [self._statuses[service]] if service else self._statuses.values()
        return int(_SERVING if all(status.is_alive for status in statuses) else _NOT_SERVING)


def check(address: str, arena: str, transport: Transport) -> str | None:
    """Ask an env proxy whether an arena ("" = all of them) serves. Return what is wrong; None if it serves.

    Raises TransportError if it cannot be asked safely.
    """
    with open_channel(address, transport) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=arena), timeout=_PATIENCE)
        except grpc.RpcError as error:
            return f"the env proxy at {address} does not answer: {error.details()} [{error.code().name}]"
    if answer.status == _SERVING:
        return None
    return f"the env proxy at {address} answers, but {f'arena {arena}' if arena else 'one of its arenas'} does not move"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m envproxy.health", description="Ask an env proxy whether it serves."
    )
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--arena", default="", help="an arena (default: all of them)")
    parser.add_argument("--root-certificates", type=Path, metavar="FILE", help="ask over TLS")
    parser.add_argument("--insecure", action="store_true", help="ask in plaintext, also another machine")
    options = parser.parse_args()
    try:
        transport = Transport(options.root_certificates, options.insecure)
        wrong = check(options.address, options.arena, transport)
    except TransportError as error:
        wrong = str(error)
    if wrong is not None:
        print(wrong, file=sys.stderr)
    return 0 if wrong is None else 1


if __name__ == "__main__":
    sys.exit(main())
