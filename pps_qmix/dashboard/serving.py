"""Serves the dashboard until the process is asked to end."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from operations.listening import Address, Reservation
from pps_qmix.dashboard.app import Dashboard
from pps_qmix.dashboard.recording import Recordings

_LAST_REQUESTS: Final = 2  # seconds


def serve(folder: Path, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the runs in `folder` at every address of `host`; `tell` gets the address of the page.

    Port 0: any that is free. Ends at SIGINT or SIGTERM, with their usual effect. Raises OSError if it cannot listen.
    """
    with ExitStack() as held:
        reserved = held.enter_context(Reservation(host, port))
        sockets = [held.enter_context(_listening(address)) for address in reserved.addresses]
        recordings = held.enter_context(Recordings())
        app: ASGIApp = Dashboard(folder, recordings, lambda: server.should_exit).app()
        if all(ipaddress.ip_address(address.host).is_loopback for address in reserved.addresses):
            app = LocalNames(app)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=_LAST_REQUESTS)
        )
        tell(f"http://{reserved.addresses[0]}/")
        server.run(sockets)


class LocalNames:
    """Refuses requests for another name than this machine's, so that a web page whose name leads here reads nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_local_name(Headers(scope=scope).get("host", "")):
            text = "This dashboard answers on this machine alone: open it as http://127.0.0.1 or http://localhost.\n"
            await PlainTextResponse(text, 421)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_local_name(host: str) -> bool:
    """Say whether a request's header `Host` names the loopback interface."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _listening(address: Address) -> socket.socket:
    return socket.create_server((address.host, address.port), family=address.family, reuse_port=True)
