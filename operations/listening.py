"""Addresses that a process listens on: every one of a name, or an error that says which one cannot be had."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

_TRIES = 20  # to find a port that is free on every address of a name
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass(frozen=True)
class Address:
    """One address of a host, and a port."""

    family: socket.AddressFamily
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.family is socket.AF_INET6 else f"{self.host}:{self.port}"


class Reservation:
    """The addresses of HOST:PORT, bound but not listened on, so that servers of this user can share them.

    A server that sets SO_REUSEPORT may listen on them as long as they are reserved; another reservation cannot be made
    meanwhile. Use as a context manager, or `close` it.
    """

    def __init__(self, host: str, port: int) -> None:
        """Port 0: one that is free on every address.

        Raises OSError if the host has no address, or one of its addresses cannot be bound. An address that this machine
        does not have (::1 where IPv6 is off) is left out if the host has another one.
        """
        found = _addresses(host)
        for left in reversed(range(_TRIES)):
            self._sockets: list[socket.socket] = []
            try:
                self.addresses = list(self._bind(host, found, port))
            except OSError as error:
                self.close()
                if port == 0 and left and error.errno == errno.EADDRINUSE:
                    continue
                raise
            return

    @property
    def port(self) -> int:
        return self.addresses[0].port

    def close(self) -> None:
        for each in self._sockets:
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _bind(self, host: str, found: list[tuple[socket.AddressFamily, str]], port: int) -> Iterator[Address]:
        wanted, missing = port, None
        for family, address in found:
            try:
                bound = _bound(family, address, port)
            except OSError as error:
                if error.errno in _NOT_HERE:
                    missing = Address(family, address, wanted)
                    continue
                where = Address(family, address, port)
                raise OSError(error.errno, f"cannot listen on {where}: {_why(error)}") from None
            self._sockets.append(bound)
            port = int(bound.getsockname()[1])
            yield Address(family, address, port)
        if not self._sockets and missing is not None:
            raise OSError(
                errno.EADDRNOTAVAIL,
                f"cannot listen on {missing}: this machine does not have the address {missing.host}",
            )


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Raises OSError if the host has no address."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        why = error.strerror if isinstance(error, socket.gaierror) else "it is not a host name"
        raise OSError(f"cannot listen on {host}: it has no address ({why}); name a host of this machine") from None
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    with contextlib.ExitStack() as undo:
        undo.callback(bound.close)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        bound.bind((host, port))
        # After bind: this one must have the address alone, and only then lets others share it.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        undo.pop_all()
    return bound


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program uses this port; end it, or choose another port"
    if error.errno == errno.EACCES:
        return "this user may not listen on this port; choose one above 1023"
    return error.strerror or str(error)
