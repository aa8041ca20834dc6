"""Names and addresses of hosts, as certificates have them."""

from __future__ import annotations

import ipaddress
import re

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")


def plain_host(host: str) -> str:
    """Write an address as certificates have it."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


def is_host(host: str) -> bool:
    if "%" in host:  # an address with the name of an interface of this very machine
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST_NAME.fullmatch(host) is not None and not host.replace(".", "").isdecimal()
    return True
