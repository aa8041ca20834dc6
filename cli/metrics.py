"""`--metrics-listen`: serves metrics to Prometheus, where somebody wants them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector

from cli.addresses import check_address, host_and_port
from envproxy.transport import is_loopback


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
            f"metrics-listen: other machines reach {address}, in plaintext; listen on 127.0.0.1, or say --insecure "
            "where nobody else can listen"
        )


@contextmanager
def served(
    address: str | None, collector: Collector, certificate: Path | None = None, private_key: Path | None = None
) -> Iterator[None]:
    """Serve what `collector` and this process have to show; with a certificate over TLS. None: nothing.

    Raises OSError if the address cannot be bound.
    """
    if address is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    files = (None, None) if certificate is None or private_key is None else (str(certificate), str(private_key))
    host, port = host_and_port(address)
    try:
        server, thread = start_http_server(port, host, registry, *files)
    except OSError as error:
        raise OSError(f"metrics-listen: cannot listen on {address}: {error.strerror or error}") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
