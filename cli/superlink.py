"""A SuperLink that others have started: how its Control API is reached, and asked with Flower's own command."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from cli.parts import TELEMETRY_OFF, flower_command
from envproxy.transport import is_loopback
from operations.addresses import check_address, host_and_port
from operations.paths import user_path
from operations.proxies import proxy_to, without_proxy

_CALL_LIMIT = 60.0  # seconds for one call of `flwr`

PROFILE = "here"


@dataclass(frozen=True)
class SuperLink:
    """Where runs are submitted to."""

    address: str
    root_certificates: Path | None = None  # None: plaintext

    def environment(self, home: Path) -> dict[str, str]:
        """Return what lets Flower's commands know this SuperLink as PROFILE. `home` is a folder of theirs alone."""
        found = self.root_certificates
        secured = {"insecure": True} if found is None else {"root-certificates": str(found)}
        profile = {"superlink": {PROFILE: {"address": self.address, **secured}}}
        (home / "config.toml").write_text(tomli_w.dumps(profile), encoding="utf-8")
        return {"FLWR_HOME": str(home), **TELEMETRY_OFF, **called_directly(self.address, found)}


def called_directly(address: str, root_certificates: Path | None) -> dict[str, str]:
    """Return what lets a Flower process call a SuperLink without an HTTP proxy, unless it is far and speaks TLS."""
    host, _ = host_and_port(address)
    return without_proxy(host) if root_certificates is None or is_loopback(address) else {}


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
            raise ValueError("insecure: with --root-certificates nothing is in plaintext; leave one of the two away")
        if not certificates.is_file():
            raise ValueError(f"root-certificates: there is no file {certificates}")
        if not is_loopback(address):
            proxy_to(host_and_port(address)[0])
        return SuperLink(address, certificates.absolute())
    if not options.insecure and not is_loopback(address):
        raise ValueError(
            f"superlink: {address} is another machine; give --root-certificates for TLS, or --insecure where nobody "
            "else can listen"
        )
    return SuperLink(address)


def flwr(*arguments: str) -> list[str]:
    """Return the command line of one of Flower's commands. Raises PartFailedError if it is not installed."""
    return [flower_command("flwr"), *arguments]


def ask(environment: Mapping[str, str], *arguments: str) -> str:
    """Return what a call of `flwr` prints, nothing if it takes too long."""
    try:
        return subprocess.run(
            flwr(*arguments), capture_output=True, text=True, check=False, env=dict(environment), timeout=_CALL_LIMIT
        ).stdout
    except subprocess.TimeoutExpired:
        return ""
