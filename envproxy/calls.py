"""What a call to an env proxy says of itself in its metadata: which seat it is for, and that it may hold it.

An env proxy reads this before it reads any message, so a call without a token costs it next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

_ARENA, _SEAT, _VERSION, _TOKEN = "pps-qmix-arena", "pps-qmix-seat", "pps-qmix-version", "authorization"
_SCHEME: Final = "Bearer "  # RFC 6750
_LONGEST_SEAT: Final = 9  # digits

# In the metadata of a refusal: another process of this env proxy plays the arena, and a new connection may reach it.
ELSEWHERE: Final = "pps-qmix-elsewhere"


@dataclass(frozen=True)
class SeatCall:
    """A call for one seat of one arena."""

    arena: str
    seat: int
    token: str
    version: str = version("pps-qmix")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what goes with the call."""
        return (
            (_ARENA, self.arena),
            (_SEAT, str(self.seat)),
            (_VERSION, self.version),
            (_TOKEN, f"{_SCHEME}{self.token}"),
        )

    @classmethod
    def read(cls, metadata: Iterable[tuple[str, str | bytes]] | None) -> SeatCall | None:
        """Return what a call says of itself; None if it names no arena or no seat. What is missing else is empty."""
        said: Mapping[str, str] = {key: text for key, text in metadata or () if isinstance(text, str)}
        arena, seat = said.get(_ARENA, ""), said.get(_SEAT, "")
        if not arena or not (seat.isascii() and seat.isdigit()) or len(seat) > _LONGEST_SEAT:
            return None
        token = said.get(_TOKEN, "")
        return cls(arena, int(seat), token.removeprefix(_SCHEME), said.get(_VERSION, ""))
