"""A renewed certificate is served without a restart, to gRPC and to sockets."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest

from client.seat_session import SeatSession
from envproxy.arena import Arena
from envproxy.certificates import ServerCertificate
from envproxy.hosting import HostedArena
from envproxy.transport import Transport
from pps_qmix.credentials.authority import Pair, issue, make_authority
from tests.envproxy.drill import Drill
from tests.serving import served

NOW = datetime.datetime.now(datetime.UTC)


class Clock:
    """A clock that the test turns on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def authority() -> Pair:
    return make_authority(NOW - datetime.timedelta(days=100), 3650)


def write(folder: Path, pair: Pair) -> tuple[Path, Path]:
    certificate, key = folder / "some.crt", folder / "some.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.private_key)
    return certificate, key


def serial(port: int) -> int:
    """Return the serial number of the certificate that is served there."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    return load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode()).serial_number


def serial_of(pair: Pair) -> int:
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    return load_pem_x509_certificate(pair.certificate).serial_number


def test_a_renewed_certificate_is_served_to_new_connections(tmp_path: Path, authority: Pair) -> None:
    first, second = (issue(authority, ["127.0.0.1"], NOW, days) for days in (1, 2))
    clock = Clock()
    certificate = ServerCertificate(*write(tmp_path, first), clock)
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.certificate)
    hosted = HostedArena("main", "drill", Arena(Drill(2, 1, lambda _: 3)), ["main-0"], 30.0)
    with served([hosted], credentials=certificate.credentials) as (_, port):
        session = SeatSession(f"127.0.0.1:{port}", "main", 0, "main-0", Transport(ca))
        session.describe()
        assert serial(port) == serial_of(first)
        write(tmp_path, second)
        assert serial(port) == serial_of(first), "it looks once a second"
        clock.now += 1.0
        assert serial(port) == serial_of(second)
        assert session.describe().n_agents == 1  # over its old connection
        fresh = SeatSession(f"127.0.0.1:{port}", "main", 0, "main-0", Transport(ca))
        assert fresh.describe().n_agents == 1
        session.close()
        fresh.close()


def test_files_that_cannot_be_used_leave_the_certificate_as_it_is(
    tmp_path: Path, authority: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pair, other = (issue(authority, ["127.0.0.1"], NOW, days) for days in (1, 2))
    certificate = ServerCertificate(*write(tmp_path, pair))
    context = certificate.context()
    (tmp_path / "some.key").unlink()
    certificate.reload(at_once=True)
    (tmp_path / "some.key").write_bytes(other.private_key)  # that of another certificate, as in the midst of a renewal
    certificate.reload(at_once=True)
    certificate.reload(at_once=True)
    assert certificate.context() is context
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 2  # once for each change
    assert all("the certificate stays the one that was read before" in error for error in errors)
    (tmp_path / "some.crt").write_bytes(other.certificate)
    certificate.reload(at_once=True)
    assert certificate.context() is not context
    assert "valid until" in caplog.messages[-1]
