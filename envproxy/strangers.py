"""Calls without a seat's token take turns, so that however many there are, the seats' own calls are served first."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

RATE: Final = 20.0  # calls a second of one peer
BURST: Final = 40  # calls of one peer that need not wait for their turn
LONGEST_WAIT: Final = 5.0  # seconds; then the call is refused
MOST: Final = 4096  # calls that wait at one time, of all peers
_MOST_PEERS: Final = 4096  # that are remembered
_PREFIX: Final = 64  # bits of an IPv6 address that name a peer: what one user commonly has


class Strangers:
    """Turns for the calls of each peer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}  # by peer: when its next call would be served if it had no burst
        self._waiting = 0

    async def turn(self, peer: str) -> bool:
        """Return when a call of `peer` (as gRPC names it) may be served; False if it is to be refused.

        A call that is to be refused waits, too: a peer that asks again at once gains nothing by it.
        """
        wait = self._wait(_host(peer))
        if wait <= 0.0:
            return True
        if self._waiting >= MOST:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(min(wait, LONGEST_WAIT))
        finally:
            self._waiting -= 1
        return wait <= LONGEST_WAIT

    def _wait(self, host: str) -> float:
        """Return the seconds until the turn of a call that comes now; take the turn unless that is too long."""
        now = self._clock()
        due = max(self._next.get(host, now), now)
        wait = due - now - BURST / RATE
        if wait <= LONGEST_WAIT:
            if len(self._next) >= _MOST_PEERS and host not in self._next:
                self._forget(now)
            self._next[host] = due + 1.0 / RATE
        return wait

    def _forget(self, now: float) -> None:
        """Forget the peers that have been silent; all, if none has been: they get a burst again."""
        self._next = {host: due for host, due in self._next.items() if due > now}
        if len(self._next) >= _MOST_PEERS:
            self._next.clear()


def _host(peer: str) -> str:
    """Return the part of gRPC's name of a peer, as ipv4:127.0.0.1:4321, that stays the same over its connections."""
    kind, _, rest = peer.partition(":")
    if kind == "ipv6":
        text = unquote(rest).rpartition(":")[0].strip("[]").partition("%")[0]
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            return text
        return str(address.ipv4_mapped or ipaddress.ip_network((address, _PREFIX), strict=False))
    return rest.rpartition(":")[0] or peer
