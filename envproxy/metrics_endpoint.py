"""`--metrics-listen`: serves metrics to Prometheus over HTTP, or over TLS with a certificate."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.registry import Collector

from envproxy.certificates import ServerCertificate
from envproxy.transport import is_loopback
from operations.addresses import check_address, host_and_port
from operations.listening import Address, Reservation

_TIMEOUT: Final = 10.0  # seconds that a caller may be silent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics-listen",
        metavar="HOST:PORT",
        help="serve metrics to Prometheus there, at /metrics: docs/operations.md (default: nowhere)",
    )


def check(address: str | None, *, insecure: bool, certificate: Path | None = None) -> None:
    """Raise ValueError if the flag has a wrong value, or others could listen to what is served in plaintext."""
    if address is None:
        return
    check_address("metrics-listen", address)
    if certificate is None and not insecure and not is_loopback(address):
        raise ValueError(
            f"metrics-listen: other machines reach {address}, in plaintext; listen on 127.0.0.1, or give "
            "--insecure on a network that you trust"
        )


@contextmanager
def served(address: str | None, collector: Collector, certificate: ServerCertificate | None = None) -> Iterator[None]:
    """Serve what `collector` and this process have to show; with a certificate over TLS. None: nothing.

    Raises OSError if the address cannot be bound.
    """
    if address is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    app = make_wsgi_app(registry)
    with ExitStack() as ends:
        try:
            reserved = ends.enter_context(Reservation(*host_and_port(address)))
            servers = [_Listener(each, certificate) for each in reserved.addresses]
        except OSError as error:
            raise OSError(f"metrics-listen: {error.strerror or error}") from None
        for server in servers:
            server.set_app(app)
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            ends.callback(thread.join)
            ends.callback(server.server_close)
            ends.callback(server.shutdown)
        yield


class _Handler(WSGIRequestHandler):
    """One caller; its requests are not logged."""

    def log_message(self, *_: Any) -> None:
        pass


class _Listener(ThreadingMixIn, WSGIServer):
    """A thread for every caller, which also does the TLS handshake: a silent caller delays no other, nor the end."""

    daemon_threads = True
    allow_reuse_port = True  # with the reservation of this address

    def __init__(self, address: Address, certificate: ServerCertificate | None) -> None:
        """`certificate`: None is plaintext. Raises OSError if the address cannot be bound."""
        self._certificate = certificate
        self.address_family = address.family
        super().__init__((address.host, address.port), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(_TIMEOUT)
        with ExitStack() as ends:
            if self._certificate is not None:
                context = self._certificate.context()
                request = ends.enter_context(context.wrap_socket(request, server_side=True))
            super().finish_request(request, client_address)

    def handle_error(self, *_: Any) -> None:
        """Ignore a caller that speaks another protocol, is silent for too long or has left."""
