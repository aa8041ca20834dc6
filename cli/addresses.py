"""What a user names as HOST:PORT."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(.+):(\d{1,5})")
_LAST_PORT = 65535


def check_address(name: str, address: str) -> None:
    """Raise ValueError, naming the flag, if `address` is not HOST:PORT."""
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[2]) > _LAST_PORT:
        raise ValueError(f"{name}: expected HOST:PORT, found {address!r}")


def host_and_port(address: str) -> tuple[str, int]:
    """Return the parts of an address that was checked; an IPv6 host without its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
