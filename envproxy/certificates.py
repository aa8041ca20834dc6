"""A server's certificate: read again when its files have changed, so that a renewal needs no restart."""

from __future__ import annotations

import datetime
import logging
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc

from envproxy.transport import TransportError, expiry

log = logging.getLogger("envproxy")

_CHECK_EVERY: Final = 1.0  # seconds between two checks of the files

_Stamp = tuple[tuple[int, int, int] | None, ...]  # what differs when a file does: inode, size, time of change


class ServerCertificate:
    """A certificate and its private key, in PEM files. Any thread may call it."""

    def __init__(self, certificate: Path, private_key: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises OSError if a file cannot be read, TransportError if the two do not fit together or have expired."""
        self._files = (certificate, private_key)
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = clock()
        self._stamp = self._present_stamp()
        self._load()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a gRPC server needs to serve with the newest certificate."""
        served = self._pair
        given = [served]

        def newest() -> grpc.ServerCertificateConfiguration | None:
            self.reload()
            pair = self._pair
            if pair is given[0]:
                return None
            given[0] = pair
            return grpc.ssl_server_certificate_configuration([pair])

        first = grpc.ssl_server_certificate_configuration([served])
        return grpc.dynamic_ssl_server_credentials(first, newest)  # type: ignore[arg-type]  # None: no change

    def context(self) -> ssl.SSLContext:
        """Return what a server of sockets needs to serve with the newest certificate."""
        self.reload()
        return self._context

    def reload(self, *, at_once: bool = False) -> None:
        """Read the files again if they have changed; look at most once a second, or `at_once`.

        Files that cannot be used are told in the log, and the certificate before them stays.
        """
        with self._lock:
            now = self._clock()
            if not at_once and now - self._looked < _CHECK_EVERY:
                return
            self._looked = now
            stamp = self._present_stamp()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                self._load()
            except (OSError, TransportError) as error:
                log.error("the certificate stays the one that was read before: %s", error)
            else:
                log.info("read %s again; it is valid until %s", self._files[0], f"{self._ends:%Y-%m-%d %H:%M} UTC")

    def _present_stamp(self) -> _Stamp:
        return tuple(map(_stamp, self._files))

    def _load(self) -> None:
        certificate, private_key = self._files
        chain, key = certificate.read_bytes(), private_key.read_bytes()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:  # a locked key is refused, not asked for
            context.load_cert_chain(certificate, private_key, password=lambda: "")
        except ssl.SSLError as error:
            raise TransportError(
                f"{certificate} and {private_key} are not a certificate and its private key in PEM ({error.reason})"
            ) from None
        ends = expiry(chain)
        if ends < datetime.datetime.now(datetime.UTC):
            raise TransportError(f"{certificate} expired on {ends:%Y-%m-%d}; pps-qmix certs DIR --renew makes another")
        self._pair, self._context, self._ends = (key, chain), context, ends


def credentials_of(certificate: ServerCertificate | None) -> Callable[[], grpc.ServerCredentials] | None:
    """Return how a server makes its credentials, if it has a certificate."""
    return None if certificate is None else certificate.credentials


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:  # it is just being replaced
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
