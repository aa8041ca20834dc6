"""A real env proxy of some hosted arenas on the loopback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from envproxy.hosting import HostedArena
from envproxy.server import Credentials, EnvProxyServer
from operations.listening import Reservation


@contextmanager
def served(
    hosted: Sequence[HostedArena], port: int = 0, credentials: Credentials | None = None
) -> Iterator[tuple[EnvProxyServer, int]]:
    """Serve while the block lasts; yield the server and its port. Then the arenas are closed, too."""
    with Reservation("127.0.0.1", port) as reserved:
        server = EnvProxyServer(hosted, reserved.addresses, credentials)
        try:
            yield server, reserved.port
        finally:
            server.stop()
            for arena in hosted:
                arena.close()
