"""The flags that say where runs are submitted to."""

from __future__ import annotations

import argparse

from envproxy.transport import is_loopback
from operations.addresses import check_address, host_and_port
from operations.paths import user_path
from operations.proxies import proxy_to
from pps_qmix.runtime.superlink import SuperLink


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--superlink", required=True, metavar="HOST:PORT", help="where its Control API listens")
    parser.add_argument(
        "--root-certificates",
        type=user_path,
        metavar="FILE",
        help="CA certificate that the SuperLink's is verified with",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="speak plaintext to a SuperLink that is not on the loopback"
    )


def choose(options: argparse.Namespace) -> SuperLink:
    """Return the SuperLink that is wanted. Raises ValueError, and ProxyError for a proxy that cannot be used."""
    address, certificates = options.superlink, options.root_certificates
    check_address("superlink", address)
    if certificates is not None:
        if options.insecure:
            raise ValueError("insecure: with --root-certificates nothing is in plaintext; omit one of the two")
        if not certificates.is_file():
            raise ValueError(f"root-certificates: the file {certificates} does not exist")
        if not is_loopback(address):
            proxy_to(host_and_port(address)[0])
        return SuperLink(address, certificates.absolute())
    if not options.insecure and not is_loopback(address):
        raise ValueError(
            f"superlink: {address} is another machine; give --root-certificates for TLS, or --insecure on a private "
            "network"
        )
    return SuperLink(address)
