"""The protocol number: parts of a federation work together when theirs are equal, whatever their package versions."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

PROTOCOL: Final = 2
"""Raise it with any change after which an older device, env proxy or ServerApp misunderstands a newer one: of
`envproxy/battle.proto`, of a call's metadata, of the records and keys of Flower messages, or of what they mean."""


def spoken(protocol: int, package: str) -> str:
    """Return what a part says of itself, as messages show it: its protocol number, and its package version if known."""
    number, shown = str(protocol) if protocol else "unknown", ascii(package[:80])[1:-1]
    return f"protocol {number} (pps-qmix {shown})" if package else f"protocol {number}"


def own() -> str:
    """Return the same of this process."""
    return spoken(PROTOCOL, version("pps-qmix"))
