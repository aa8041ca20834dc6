"""What `pps-qmix certs` makes: chains that verify, keys for Flower, files for their owner alone, nothing twice."""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import os
import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from flwr.supercore.primitives.asymmetric import uses_nist_ec_curve

from cli import certs as command
from envproxy.attestation import keep_key
from pps_qmix.credentials.folders import FoldersError
from strategies.attestation import read_key


@pytest.fixture(autouse=True)
def _careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def certs(directory: Path, *arguments: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args([str(directory), *arguments])) == 0


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    certs(tmp_path / "c", "--host", "Coordinator.example", "--host", "10.0.0.5", "--battle-host", "2001:db8::7")
    return tmp_path / "c"


def test_every_machine_has_a_folder_with_what_it_needs_and_nothing_more(made: Path) -> None:
    assert set(contents(made)) == {
        *("authority/ca.crt", "authority/ca.key"),
        *("coordinator/ca.crt", "coordinator/superlink.crt", "coordinator/superlink.key", "coordinator/attest.key"),
        *(f"coordinator/supernodes/seat-{seat}.pub" for seat in range(3)),
        *("battle-host/envproxy.crt", "battle-host/envproxy.key", "battle-host/attest.key"),
        *(f"battle-host/tokens/main/seat-{seat}.token" for seat in range(3)),
        *(f"device-{s}/{name}" for s in range(3) for name in ("ca.crt", "supernode.key", f"seat-{s}.token")),
    }
    found = contents(made)
    for seat in range(3):
        assert found[f"device-{seat}/seat-{seat}.token"] == found[f"battle-host/tokens/main/seat-{seat}.token"]
        assert found[f"device-{seat}/ca.crt"] == found["authority/ca.crt"] == found["coordinator/ca.crt"]
    assert keep_key(made / "battle-host/attest.key") == read_key(made / "coordinator/attest.key")


@pytest.mark.parametrize("lost", ["battle-host", "coordinator"])
def test_a_lost_shared_key_is_copied_from_the_other_machine(made: Path, lost: str) -> None:
    before = contents(made)
    (made / lost / "attest.key").unlink()
    certs(made)
    assert contents(made) == before


def test_all_is_for_its_owner_alone(made: Path) -> None:
    for path in (made, *made.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(
    ("server", "names", "other"),
    [
        ("coordinator/superlink", ["coordinator.example", "10.0.0.5", "localhost", "127.0.0.1"], "2001:db8::7"),
        ("battle-host/envproxy", ["2001:db8::7", "localhost", "::1"], "coordinator.example"),
    ],
)
def test_the_chain_holds_for_the_hosts_named_and_no_others(
    made: Path, server: str, names: list[str], other: str
) -> None:
    authority = x509.load_pem_x509_certificate((made / "authority/ca.crt").read_bytes())
    leaf = x509.load_pem_x509_certificate((made / f"{server}.crt").read_bytes())

    def verify(name: str) -> None:
        PolicyBuilder().store(Store([authority])).build_server_verifier(_subject(name)).verify(leaf, [])

    for name in names:
        verify(name)
    with pytest.raises(VerificationError):
        verify(other)
    # the authority's key signs certificates and nothing else; the server's is no authority
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).critical
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_openssl_shakes_hands_with_them(made: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made / "coordinator/superlink.crt", made / "coordinator/superlink.key")
    client = ssl.create_default_context(cafile=made / "device-0/ca.crt")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    near, far = socket.socketpair()
    serving = threading.Thread(target=lambda: server.wrap_socket(far, server_side=True).close())
    serving.start()
    with client.wrap_socket(near, server_hostname="coordinator.example") as connection:
        assert connection.version() == "TLSv1.3"
    serving.join()


def test_flower_takes_the_keys(made: Path) -> None:
    for seat in range(3):
        private = load_ssh_private_key((made / f"device-{seat}/supernode.key").read_bytes(), None)
        public = load_ssh_public_key((made / f"coordinator/supernodes/seat-{seat}.pub").read_bytes())
        assert isinstance(public, ec.EllipticCurvePublicKey)
        assert uses_nist_ec_curve(public)
        assert private.public_key() == public


def test_a_second_call_changes_nothing(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(made)
    certs(made, "--host", "10.0.0.5", "--battle-host", "2001:db8::7")
    assert contents(made) == before
    assert "nothing to do" in capsys.readouterr().out


def test_seats_are_added_also_without_the_authority_s_key_and_after_folders_were_handed_out(made: Path) -> None:
    (made / "authority/ca.key").unlink()
    handed_out = made / "device-1"
    for path in handed_out.iterdir():
        path.unlink()
    handed_out.rmdir()
    before = contents(made)
    certs(made, "--seats", "5")
    after = contents(made)
    assert before.items() <= after.items()
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {
        "coordinator",
        "battle-host",
        "device-3",
        "device-4",
    }


def test_hosts_are_added_with_consent_to_a_new_certificate(made: Path) -> None:
    before = contents(made)
    with pytest.raises(FoldersError, match=r"superlink\.crt is not for new\.example; --renew writes it"):
        certs(made, "--host", "new.example")
    assert contents(made) == before
    certs(made, "--host", "new.example", "--battle-host", "10.9.9.9", "--renew", "--days", "30")
    after = contents(made)
    assert {name for name, content in after.items() if before[name] != content} == {
        *("coordinator/superlink.crt", "coordinator/superlink.key"),
        *("battle-host/envproxy.crt", "battle-host/envproxy.key"),
    }
    leaf = x509.load_pem_x509_certificate(after["coordinator/superlink.crt"])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"new.example", "coordinator.example", "localhost"} == set(names.get_values_for_type(x509.DNSName))
    assert leaf.not_valid_after_utc < datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=31)


def test_a_lost_device_gets_another_key_and_token(made: Path) -> None:
    before = contents(made)
    certs(made, "--replace-seat", "1")
    after = contents(made)
    assert {name for name, content in after.items() if before[name] != content} == {
        *("device-1/supernode.key", "device-1/seat-1.token"),
        *("battle-host/tokens/main/seat-1.token", "coordinator/supernodes/seat-1.pub"),
    }
    assert after["device-1/seat-1.token"] == after["battle-host/tokens/main/seat-1.token"]


def test_a_call_that_was_cut_short_is_finished_by_the_next(made: Path) -> None:
    whole = contents(made)
    (made / "coordinator/supernodes/seat-2.pub").unlink()  # it is written last
    (made / "battle-host/envproxy.crt").unlink()
    certs(made)
    assert contents(made).keys() == whole.keys()
    private = load_ssh_private_key((made / "device-2/supernode.key").read_bytes(), None)
    assert private.public_key() == load_ssh_public_key((made / "coordinator/supernodes/seat-2.pub").read_bytes())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "a:8000"], "host: expected a name or an address, without a port, found 'a:8000'"),
        (["--host", "https://a"], "host: expected"),
        (["--host", "10.0.0.256"], "host: expected"),
        (["--host", "fe80::1%eth0"], "host: expected"),
        (["--battle-host=-x.example"], "host: expected"),
        (["--seats", "0"], "seats: expected 1..1024, found 0"),
        (["--days", "9999"], "days: expected"),
        (["--arena", "../x"], "arena: expected"),
        (["--replace-seat", "3"], "replace-seat: expected 0..2, found 3"),
        (["--arena", "blue"], "has the tokens of arena main"),
        (["--seats", "9", "--replace-seat", "8"], "seat 8 has no key yet"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(made: Path, arguments: list[str], words: str) -> None:
    before = contents(made)
    with pytest.raises(ValueError, match=r":|tokens|key") as refused:
        certs(made, *arguments)
    assert words in str(refused.value)
    assert contents(made) == before


def test_without_the_authority_s_key_nothing_is_renewed(made: Path) -> None:
    (made / "authority/ca.key").unlink()
    with pytest.raises(FoldersError, match=r"ca\.key is not there, and no certificate can be signed"):
        certs(made, "--renew")


@pytest.mark.parametrize("gone", [["ca.crt"], ["ca.crt", "ca.key"]])
def test_no_second_authority_is_made_beside_what_the_first_has_signed(made: Path, gone: list[str]) -> None:
    for name in gone:
        (made / "authority" / name).unlink()
    before = contents(made)
    with pytest.raises(
        FoldersError, match=r"authority/ca\.crt is not there, but .* is, which goes with it; put it back"
    ):
        certs(made, "--seats", "5")
    assert contents(made) == before


def test_a_token_that_the_battle_host_has_lost_is_taken_from_its_device(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(made)
    token = made / "battle-host/tokens/main/seat-1.token"
    token.unlink()
    capsys.readouterr()
    certs(made)
    assert contents(made) == before
    assert f"made {token}, as its device has it" in capsys.readouterr().out

    token.unlink()
    (made / "device-1/seat-1.token").unlink()  # it is on the device
    with pytest.raises(FoldersError, match=r"seat-1\.token is not there, and its device has it; .* --replace-seat 1"):
        certs(made)
    certs(made, "--replace-seat", "1")
    assert token.read_bytes() == (made / "device-1/seat-1.token").read_bytes()
    assert contents(made).keys() == before.keys()


@pytest.mark.parametrize("damage", [b"no certificate", None])
def test_a_damaged_certificate_is_named_and_can_be_renewed(made: Path, damage: bytes | None) -> None:
    path = made / "coordinator/superlink.crt"
    path.write_bytes(damage or (made / "authority/ca.crt").read_bytes())  # which is for no name
    with pytest.raises(FoldersError, match=r"superlink\.crt is no certificate of the kind that is needed \(.*--renew"):
        certs(made, "--host", "10.0.0.5")
    certs(made, "--host", "10.0.0.5", "--renew")
    certs(made, "--host", "10.0.0.5")
    (made / "authority/ca.crt").write_bytes(b"-----BEGIN CERTIFICATE-----")
    with pytest.raises(FoldersError, match=r"authority/ca\.crt is no certificate"):
        certs(made)


def _subject(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
