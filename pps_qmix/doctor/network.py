"""The other machines: who listens, whether they can be reached (and how) and trusted, and whether the clocks agree."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import grpc

from envproxy import battle_pb2 as pb
from envproxy import battle_pb2_grpc
from envproxy.transport import Transport, TransportError, check_connection, open_channel, proxy_on_the_way
from operations.addresses import host_and_port
from operations.protocol import PROTOCOL, own, spoken
from operations.proxies import ProxyError, connected, tls_proxy, variables
from pps_qmix.doctor.finding import Finding, failed, ok, warning

_TIMEOUT = 5.0  # seconds
_AHEAD, _BEHIND = 5.0, 305.0  # seconds from which on a SuperLink refuses a device (docs/security.md)
_DATE_IS_CUT = 0.5  # seconds that an HTTP date is behind, on average: it has whole seconds


def check_port(who: str, address: str) -> Finding:
    """Say whether a program listens where `who` would by default."""
    check = f"port of the {who}"
    try:
        socket.create_connection(host_and_port(address), _TIMEOUT).close()
    except OSError:
        return ok(check, f"{address} is free")
    return warning(check, f"something listens at {address}; if it is no {who} of yours, let yours listen elsewhere")


def check_proxies() -> Finding:
    """Say which proxy variables are set, and what they mean for us."""
    named = ", ".join(f"{name}={value}" for name, value in variables().items())
    try:
        proxy = tls_proxy()
    except ProxyError as error:
        return warning("proxies", f"{error} (the loopback and plaintext connections use none)")
    if not named:
        return ok("proxies", "none named in the environment")
    through = "no connection of ours uses one" if proxy is None else f"TLS to other machines goes through {proxy}"
    return ok("proxies", f"{named}: {through}; the loopback and plaintext connections use none")


def check_superlink(address: str, transport: Transport) -> Iterator[Finding]:
    """Reach the SuperLink, or what is before it, and compare clocks with it."""
    try:
        check_connection("SuperLink", address, transport)
    except TransportError as error:
        yield failed("SuperLink", str(error))
        return
    yield ok("SuperLink", f"answers at {address}, {_how(address, transport)}")
    yield _check_clock(address, transport)


def check_envproxy(address: str, arena: str, transport: Transport) -> Finding:
    """Reach the env proxy and ask what it plays."""
    try:
        check_connection("env proxy", address, transport)
        channel = open_channel(address, transport)
    except TransportError as error:
        return failed("env proxy", str(error))
    with channel:
        stub = battle_pb2_grpc.BattleServiceStub(channel)  # type: ignore[no-untyped-call]
        try:
            found: pb.ArenaDescription = stub.Describe(pb.DescribeRequest(arena=arena), timeout=_TIMEOUT)
        except grpc.RpcError as error:
            says = f"what listens at {address} says: {error.details()} [{error.code().name}]"
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return warning("env proxy", f"{says}; runs name theirs with the setting arena")
            return failed("env proxy", f"{says}; is it pps-qmix envproxy?")
    if found.protocol != PROTOCOL:
        says = f"{address} speaks {spoken(found.protocol, found.version)}, this machine speaks {own()}"
        return failed("env proxy", f"{says}; install versions of the same protocol on both")
    return ok("env proxy", f"answers at {address}, {_how(address, transport)}: arena {found.arena} plays {found.map}")


def judge_clock(ahead: float) -> Finding:
    """`ahead` is by how many seconds this machine's clock is ahead of the SuperLink's."""
    says = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the SuperLink's, give or take a second"
    remedy = f"it takes devices up to {_AHEAD:.0f} s ahead and {_BEHIND:.0f} s behind; run NTP on both"
    if not -_BEHIND < ahead < _AHEAD:
        return failed("clock", f"{says}; {remedy}")
    if not -_BEHIND / 5 < ahead < _AHEAD / 2:
        return warning("clock", f"{says}; {remedy}")
    return ok("clock", says)


def _check_clock(address: str, transport: Transport) -> Finding:
    """By the date that every HTTP answer has, whatever it answers."""
    host, port = host_and_port(address)
    connection = http.client.HTTPConnection(host, port)
    try:
        connection.sock = connected(host, port, proxy_on_the_way(address, transport), _TIMEOUT)
        if transport.root_certificates is not None:
            context = ssl.create_default_context(cafile=transport.root_certificates)
            connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
        asked = time.time()
        connection.request("GET", "/")
        date = parsedate_to_datetime(connection.getresponse().headers["date"]).timestamp()
        answered = time.time()
    except (OSError, http.client.HTTPException, TypeError, ValueError) as error:
        return warning("clock", f"{address} does not say what time it is ({error}); is it a SuperLink?")
    finally:
        connection.close()
    return judge_clock((asked + answered) / 2 - (date + _DATE_IS_CUT))


def _how(address: str, transport: Transport) -> str:
    if transport.root_certificates is None:
        return "in plaintext"
    proxy = proxy_on_the_way(address, transport)
    return "over TLS" if proxy is None else f"over TLS through the proxy {proxy}"
