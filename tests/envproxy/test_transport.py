"""TLS between seats and env proxy, over real sockets with real certificates; and no token in plaintext unasked."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import grpc
import pytest

from client import seat_session
from client.seat_session import SeatSession, SeatSessionError
from envproxy.arena import Arena
from envproxy.certificates import ServerCertificate
from envproxy.hosting import HostedArena
from envproxy.server import Credentials
from envproxy.transport import (
    Transport,
    TransportError,
    UnreachableError,
    check_connection,
    is_loopback,
    open_channel,
)
from pps_qmix.credentials.authority import Pair, issue, make_authority
from tests.connect_proxy import connect_proxy
from tests.envproxy.drill import Drill, legal_round
from tests.serving import served

NOW = datetime.datetime.now(datetime.UTC)
LONG_AGO = NOW - datetime.timedelta(days=100)

StartSecure = Callable[..., AbstractContextManager[str]]  # an env proxy with a certificate; see `secure`


@pytest.fixture(scope="module")
def authority() -> Pair:
    return make_authority(LONG_AGO, 3650)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat_session, "_DESCRIBE_TIMEOUT", 0.5)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "grpc_proxy", "no_grpc_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.delenv(variable, raising=False)


def written(folder: Path, pair: Pair) -> tuple[Path, Path]:
    certificate, key = folder / "some.crt", folder / "some.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.private_key)
    return certificate, key


def ca_file(folder: Path, authority: Pair) -> Path:
    path = folder / "ca.crt"
    path.write_bytes(authority.certificate)
    return path


@contextmanager
def proxy(credentials: Credentials | None) -> Iterator[str]:
    """An env proxy of a drill with three seats, whose tokens are main-0, main-1 and main-2; its address."""
    hosted = HostedArena("main", "drill", Arena(Drill(2, 3, lambda _: 3)), [f"main-{seat}" for seat in range(3)], 30.0)
    with served([hosted], credentials=credentials) as (_, port):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def secure(tmp_path: Path, authority: Pair) -> StartSecure:
    """Start an env proxy with a certificate of `authority`."""

    def start(hosts: list[str], now: datetime.datetime = NOW, days: int = 1) -> AbstractContextManager[str]:
        pair = issue(authority, hosts, now, days)
        # not ServerCertificate: it refuses one that has expired, which an env proxy that runs for long may have
        return proxy(lambda: grpc.ssl_server_credentials([(pair.private_key, pair.certificate)]))

    return start


def complaint(address: str, transport: Transport) -> str:
    """What a device says that cannot describe the arena."""
    session = SeatSession(address, "main", 1, "main-1", transport)
    with pytest.raises(SeatSessionError) as refused:
        session.describe()
    session.close()
    said = str(refused.value)
    assert "\n" not in said
    return said


def test_a_seat_describes_its_arena_over_tls(tmp_path: Path, authority: Pair) -> None:
    pair = issue(authority, ["localhost", "127.0.0.1"], NOW, 1)
    with proxy(ServerCertificate(*written(tmp_path, pair)).credentials) as address:
        for name in (address, address.replace("127.0.0.1", "localhost")):
            transport = Transport(ca_file(tmp_path, authority))
            check_connection("env proxy", name, transport)
            session = SeatSession(name, "main", 1, "main-1", transport)
            assert session.describe().n_agents == 3
            session.close()


def test_a_certificate_of_another_authority_is_not_trusted(tmp_path: Path, secure: StartSecure) -> None:
    foreign = ca_file(tmp_path, make_authority(NOW, 10))
    with secure(["127.0.0.1"]) as address:
        assert complaint(address, Transport(foreign)) == (
            f"the env proxy at {address} has a certificate that the CA in {foreign} has not signed; is it the one it "
            "should be?"
        )


def test_a_certificate_that_has_expired_is_told_with_the_time(
    tmp_path: Path, authority: Pair, secure: StartSecure
) -> None:
    with secure(["127.0.0.1"], LONG_AGO) as address:
        said = complaint(address, Transport(ca_file(tmp_path, authority)))
    assert "has a certificate that has expired (it is 20" in said
    assert "pps-qmix certs DIR --renew" in said


def test_a_certificate_for_another_host_is_told_with_what_adds_it(
    tmp_path: Path, authority: Pair, secure: StartSecure
) -> None:
    with secure(["battles.example", "10.1.1.1"]) as address:
        ca = Transport(ca_file(tmp_path, authority))
        assert "for other names than 127.0.0.1; pps-qmix certs DIR --host 127.0.0.1 --renew" in complaint(address, ca)
        assert "for other names than localhost" in complaint(address.replace("127.0.0.1", "localhost"), ca)


def test_who_speaks_tls_and_who_does_not_find_out(tmp_path: Path, authority: Pair, secure: StartSecure) -> None:
    with secure(["127.0.0.1"]) as address:
        assert f"the env proxy at {address} speaks TLS; name the CA certificate" in complaint(address, Transport())
    with proxy(None) as address:
        assert f"the env proxy at {address} does not speak TLS" in complaint(
            address, Transport(ca_file(tmp_path, authority))
        )
        check_connection("env proxy", address, Transport())
    with pytest.raises(UnreachableError, match=rf"no env proxy answers at {address} \(Connection refused\)"):
        check_connection("env proxy", address, Transport())


def test_a_wrong_token_is_refused_over_tls(tmp_path: Path, authority: Pair, secure: StartSecure) -> None:
    with secure(["127.0.0.1"]) as address:
        session = SeatSession(address, "main", 1, "main-2", Transport(ca_file(tmp_path, authority)))
        with pytest.raises(SeatSessionError, match="this is not the token of seat 1 of arena 'main'; give the device"):
            session.play(legal_round(2))
        session.close()


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_tls_to_another_machine_goes_through_the_proxy_that_the_environment_names(
    tmp_path: Path, secure: StartSecure, monkeypatch: pytest.MonkeyPatch, authority: Pair, variable: str
) -> None:
    ca = Transport(ca_file(tmp_path, authority))
    far = "battles.example:50551"
    with secure(["battles.example"]) as address, connect_proxy(int(address.rpartition(":")[2])) as way:
        monkeypatch.setenv(variable, way.url.replace("http://", "http://me:secret@"))
        check_connection("env proxy", far, ca)
        session = SeatSession(far, "main", 1, "main-1", ca)
        assert session.describe().n_agents == 3
        session.close()
        assert way.asked == ["CONNECT battles.example:50551 HTTP/1.0", "CONNECT battles.example:50551 HTTP/1.1"]
        assert all("Basic bWU6c2VjcmV0" in headers for headers in way.headers)


def test_neither_the_loopback_nor_plaintext_goes_through_a_proxy(
    tmp_path: Path, secure: StartSecure, monkeypatch: pytest.MonkeyPatch, authority: Pair
) -> None:
    with connect_proxy() as way:
        for variable in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
            monkeypatch.setenv(variable, way.url)
        with proxy(None) as address:
            check_connection("env proxy", address, Transport())
            SeatSession(address, "main", 1, "main-1").describe()
            complaint("battles.example:50551", Transport(insecure=True))
        with secure(["127.0.0.1"]) as address:
            SeatSession(address, "main", 1, "main-1", Transport(ca_file(tmp_path, authority))).describe()
        assert way.asked == []


def test_a_proxy_that_is_away_or_refuses_is_what_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: Pair
) -> None:
    ca = Transport(ca_file(tmp_path, authority))
    with connect_proxy() as way:
        monkeypatch.setenv("https_proxy", way.url)
        assert complaint("battles.example:50551", ca) == (
            f"the env proxy at battles.example:50551 cannot be reached through the proxy {way.address} (https_proxy): "
            "Tunnel connection failed: 403 Forbidden; set the variable right, or add battles.example to no_proxy if it "
            "can be reached without"
        )
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert "through the proxy 127.0.0.1:1 (https_proxy): Connection refused" in complaint("battles.example:50551", ca)
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(TransportError, match=r"https_proxy: expected http://HOST:PORT, found socks5://127\.0\.0\.1:1"):
        SeatSession("battles.example:50551", "main", 1, "main-1", ca)
    monkeypatch.setenv("no_proxy", "10.0.0.1, .example")
    assert "no env proxy answers" in complaint("battles.example:50551", ca)


@pytest.mark.parametrize("address", ["10.0.0.5:50551", "battles.example:50551", "[2001:db8::1]:1", "0.0.0.0:1"])
def test_a_token_does_not_travel_in_plaintext_unasked(address: str) -> None:
    assert not is_loopback(address)
    with pytest.raises(TransportError, match=r"a token is not sent to .* in plaintext; name the CA certificate"):
        SeatSession(address, "main", 0, "secret")
    open_channel(address, Transport(insecure=True)).close()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.8.0.1:50551", "[::1]:1", "localhost:50551"])
def test_plaintext_on_the_loopback_needs_no_asking(address: str) -> None:
    assert is_loopback(address)
    open_channel(address, Transport()).close()


def test_plaintext_and_a_ca_exclude_each_other() -> None:
    with pytest.raises(TransportError, match="exclude each other"):
        Transport(Path("ca.crt"), insecure=True)


@pytest.mark.parametrize(("content", "words"), [(None, "cannot read the CA certificate"), (b"x", "holds no CA")])
def test_a_ca_file_that_is_none_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "ca.crt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TransportError, match=words) as refused:
        open_channel("127.0.0.1:1", Transport(path))
    assert str(path) in str(refused.value)


def test_a_server_s_files_are_looked_at_before_it_serves(tmp_path: Path, authority: Pair) -> None:
    certificate, key = written(tmp_path, issue(authority, ["localhost"], NOW, 1))
    ServerCertificate(certificate, key)
    with pytest.raises(FileNotFoundError, match="absent"):
        ServerCertificate(tmp_path / "absent", key)
    written(tmp_path, Pair(certificate.read_bytes(), issue(authority, ["localhost"], NOW, 1).private_key))
    with pytest.raises(TransportError, match="are not a certificate and its private key"):
        ServerCertificate(certificate, key)
    written(tmp_path, issue(authority, ["localhost"], LONG_AGO, 1))
    with pytest.raises(TransportError, match=r"some\.crt expired on 20.*--renew"):
        ServerCertificate(certificate, key)
