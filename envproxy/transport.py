"""The transport to an env proxy: TLS, or plaintext on the loopback or where the user allows it.

TLS to another machine goes through an HTTP proxy where the environment names one (`operations.proxies`).
A device proves who it is by its seat's token, so only the server has a certificate.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from operations.proxies import Proxy, ProxyError, connected, proxy_to

DEFAULT_ADDRESS = "127.0.0.1:50551"  # where an env proxy listens, and a device looks for it
_TIMEOUT = 5.0  # seconds for a connection and a handshake

# OpenSSL's X509_V_ERR_...
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_AUTHORITY = {18, 19, 20, 21}  # self-signed; self-signed in the chain; no issuer here; no leaf signature
_WRONG_NAME = {62, 64}  # of a host; of an address


class TransportError(ValueError):
    """The connection would not be safe, or is not to whom it should be; the message says what to do."""


class UnreachableError(TransportError):
    """The other side does not answer; a later call may succeed."""


class ProxyAwayError(UnreachableError):
    """The HTTP proxy on the way does not answer, or does not lead there."""


@dataclass(frozen=True)
class Transport:
    """TLS, verified with `root_certificates`; without any, plaintext: to loopback, or anywhere if `insecure`."""

    root_certificates: Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.insecure and self.root_certificates is not None:
            raise TransportError("insecure and root-certificates exclude each other: plaintext, or TLS?")


def is_loopback(address: str) -> bool:
    """Say whether HOST:PORT is on this machine only. Names other than localhost are not looked up."""
    host = _host(address)
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_on_the_way(address: str, transport: Transport) -> Proxy | None:
    """Return the HTTP proxy through which HOST:PORT is called. Raises TransportError if it cannot be used."""
    if transport.root_certificates is None or is_loopback(address):
        return None
    try:
        return proxy_to(_host(address))
    except ProxyError as error:
        raise TransportError(str(error)) from None


def open_channel(address: str, transport: Transport, options: Sequence[tuple[str, Any]] = ()) -> grpc.Channel:
    """Return a channel to an env proxy.

    Raises TransportError: plaintext where others can listen, no CA, or an HTTP proxy that cannot be used.
    """
    proxy = proxy_on_the_way(address, transport)  # gRPC itself would take one to the loopback, too
    options = [*options, ("grpc.enable_http_proxy", 0) if proxy is None else ("grpc.http_proxy", proxy.url)]
    if transport.root_certificates is not None:
        _verifying_context(transport.root_certificates)  # gRPC says nothing of a file that it cannot use
        credentials = grpc.ssl_channel_credentials(transport.root_certificates.read_bytes())
        return grpc.secure_channel(address, credentials, options=options)
    if not transport.insecure and not is_loopback(address):
        raise TransportError(
            f"a token is not sent to {address} in plaintext; name the CA certificate in the node config, "
            'root-certificates="FILE", or insecure=true on a network that you trust'
        )
    return grpc.insecure_channel(address, options=options)


def expiry(certificate: bytes) -> datetime.datetime:
    """Return until when the first certificate of a PEM file is valid."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415  devices need no X.509, and start often

    return load_pem_x509_certificate(certificate).not_valid_after_utc


def check_connection(who: str, address: str, transport: Transport) -> None:
    """Connect once, as `transport` says. `who` is what listens there, for the message.

    Raises UnreachableError if the other side does not answer, TransportError if it is not safe to talk to.
    """
    host, port = _host(address), int(address.rpartition(":")[2])
    proxy = proxy_on_the_way(address, transport)
    context = _untrusting_context()
    if transport.root_certificates is not None:
        context = _verifying_context(transport.root_certificates)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with connected(host, port, proxy, _TIMEOUT) as connection:
            try:
                context.wrap_socket(connection, server_hostname=host).close()
            except OSError as error:
                if transport.root_certificates is None:
                    return  # no TLS there, as expected
                raise TransportError(f"{who} at {address} {_why(error, host, transport.root_certificates)}") from None
    except OSError as error:
        if proxy is not None:
            raise ProxyAwayError(
                f"{who} at {address} cannot be reached through the proxy {proxy}: {error.strerror or error}; set the "
                f"variable right, or add {host} to no_proxy if it can be reached without"
            ) from None
        raise UnreachableError(f"no {who} answers at {address} ({error.strerror or error})") from None
    if transport.root_certificates is None:
        raise TransportError(f"{who} at {address} speaks TLS; name the CA certificate that it is to be verified with")


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _verifying_context(root_certificates: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=root_certificates)
    except ssl.SSLError:
        raise TransportError(f"{root_certificates} holds no CA certificate in PEM") from None
    except OSError as error:
        raise TransportError(f"cannot read the CA certificate {root_certificates}: {error.strerror}") from None


def _untrusting_context() -> ssl.SSLContext:
    """Return a context that finds out whether the other side speaks TLS; nothing is sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _why(error: OSError, host: str, root_certificates: Path) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        return f"does not speak TLS ({reason}); give it a certificate, or say insecure on both sides"
    now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC by this device's clock"
    if error.verify_code == _EXPIRED:
        return f"has a certificate that has expired (it is {now}); pps-qmix certs DIR --renew makes another"
    if error.verify_code == _NOT_YET_VALID:
        return f"has a certificate that is not valid yet (it is {now})"
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return f"has a certificate that the CA in {root_certificates} has not signed; is it the one it should be?"
    if error.verify_code in _WRONG_NAME:
        return f"has a certificate for other names than {host}; pps-qmix certs DIR --host {host} --renew adds it"
    return f"has a certificate that cannot be trusted: {error.verify_message}"
