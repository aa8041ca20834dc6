"""What a user names as HOST:PORT."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(\[[^\[\]]+\]|[^\[\]]+):(\d{1,5})")
_LABEL = 63  # characters between two dots of a host's name
_LAST_PORT = 65535


def check_address(name: str, address: str) -> None:
    """Raise ValueError, naming the flag, if `address` is not HOST:PORT."""
    found = _ADDRESS.fullmatch(address)
    labels = [] if found is None else found[1].removesuffix(".").split(".")
    if found is None or int(found[2]) > _LAST_PORT or not all(0 < len(label) <= _LABEL for label in labels):
        raise ValueError(f"{name}: expected HOST:PORT, found {address!r}")


def host_and_port(address: str) -> tuple[str, int]:
    """Return the parts of an address that was checked; an IPv6 host without its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
