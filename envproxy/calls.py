"""The metadata of a call to an env proxy: the seat it is for, the token of that seat, and the protocol number.

An env proxy reads this before it reads any message, so a call without a token costs it next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from operations.protocol import PROTOCOL

_ARENA, _SEAT, _TOKEN = "pps-qmix-arena", "pps-qmix-seat", "authorization"
_PROTOCOL, _VERSION = "pps-qmix-protocol", "pps-qmix-version"
_SCHEME: Final = "Bearer "  # RFC 6750
_LONGEST_NUMBER: Final = 9  # digits

# In the metadata of a refusal: another process of this env proxy plays the arena, and a new connection may reach it.
ELSEWHERE: Final = "pps-qmix-elsewhere"


@dataclass(frozen=True)
class SeatCall:
    """A call for one seat of one arena."""

    arena: str
    seat: int
    token: str
    protocol: int = PROTOCOL  # 0: the call does not say it
    version: str = version("pps-qmix")  # of the package; for messages only

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what goes with the call."""
        return (
            (_ARENA, self.arena),
            (_SEAT, str(self.seat)),
            (_PROTOCOL, str(self.protocol)),
            (_VERSION, self.version),
            (_TOKEN, f"{_SCHEME}{self.token}"),
        )

    @classmethod
    def read(cls, metadata: Iterable[tuple[str, str | bytes]] | None) -> SeatCall | None:
        """Return the call of this metadata; None if it names no arena or no seat. Other missing fields are empty."""
        said: Mapping[str, str] = {key: text for key, text in metadata or () if isinstance(text, str)}
        arena, seat = said.get(_ARENA, ""), _number(said.get(_SEAT, ""))
        if not arena or seat is None:
            return None
        token, protocol = said.get(_TOKEN, "").removeprefix(_SCHEME), _number(said.get(_PROTOCOL, ""))
        return cls(arena, seat, token, protocol or 0, said.get(_VERSION, ""))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else None
