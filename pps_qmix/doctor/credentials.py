"""Folders of `pps-qmix certs`: certificates' dates, who signed them, their keys, and who may read what is private."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from envproxy.tokens import read_token
from pps_qmix.credentials.authority import hosts_of, public_supernode_key
from pps_qmix.credentials.folders import ATTEST_KEY, CA, SUPERNODE_KEY
from pps_qmix.doctor.finding import Finding, failed, ok, warning
from strategies.attestation import read_key

_SOON = datetime.timedelta(days=30)
_OTHERS = 0o077


def check_credentials(folder: Path, now: datetime.datetime) -> Iterator[Finding]:
    """Look at a machine's folder, or at all that `pps-qmix certs` has made."""
    if not folder.is_dir():
        yield failed("credentials", f"the folder {folder} does not exist; pps-qmix certs makes it")
        return
    certificates = sorted(folder.rglob("*.crt"))
    private = sorted(path for pattern in ("*.key", "*.token") for path in folder.rglob(pattern))
    if not certificates and not private:
        yield failed("credentials", f"{folder} has neither certificates nor keys nor tokens; is it the one?")
    for path in certificates:
        yield check_certificate(path, _authority_of(path), now)
    for path in private:
        yield _check_private(path)


def check_certificate(path: Path, authority: Path | None, now: datetime.datetime) -> Finding:
    """Dates; that `authority` has signed it; that the key beside it, if there is one, is its own."""
    name = f"certificate {path.name}"
    try:
        certificate = _verified(path, authority)
    except ValueError as error:
        return failed(name, str(error))
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        return failed(name, f"{path} is not valid before {begins:%Y-%m-%d %H:%M} UTC; is this machine's clock right?")
    if now > ends - _SOON:
        renew = "start again in another folder" if path.name == CA else "pps-qmix certs DIR --renew makes another"
        expired = now > ends
        says = f"{path} {'expired' if expired else 'expires'} on {ends:%Y-%m-%d}; {renew}"
        return failed(name, says) if expired else warning(name, says)
    whose = "" if path.name == CA else f", for {', '.join(hosts_of(path.read_bytes()))}"
    return ok(name, f"valid until {ends:%Y-%m-%d}{whose}")


def _verified(path: Path, authority: Path | None) -> x509.Certificate:
    """Return a certificate that goes with its authority and its key. Raises ValueError, saying what does not."""
    try:
        certificate = _read(path)
        if authority is not None:
            certificate.verify_directly_issued_by(_read(authority))
        if path.name != CA:
            hosts_of(path.read_bytes())
        key = path.with_suffix(".key")
        if not key.exists() or _is_key_of(key, certificate):
            return certificate
    except (InvalidSignature, TypeError):
        raise ValueError(f"{path} was not signed by {authority}; copy both from the same pps-qmix certs") from None
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise ValueError(f"{path} or its key cannot be used ({error}); copy it again") from None
    raise ValueError(f"{key} is not the key of {path}; pps-qmix certs DIR --renew makes both again")


def _check_private(path: Path) -> Finding:
    name = f"private {path.name}"
    try:
        mode = path.stat().st_mode & 0o777
        if mode & _OTHERS:
            return failed(name, f"others may read {path} (mode {mode:04o}); chmod 600 {path}")
        if path.suffix == ".token":
            read_token(path)
        elif path.name == ATTEST_KEY:
            read_key(path)
        elif path.name == SUPERNODE_KEY:
            public_supernode_key(path.read_bytes(), "")
        else:
            serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        return failed(name, f"{path} cannot be used ({error}); copy it again")
    return ok(name, f"{path}, for its owner alone")


def _authority_of(path: Path) -> Path | None:
    """The CA's certificate beside a certificate, or beside its folder."""
    found = (path.with_name(CA), path.parent.parent / "authority" / CA)
    return next((candidate for candidate in found if candidate.exists()), None)


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _is_key_of(key: Path, certificate: x509.Certificate) -> bool:
    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    return private.public_key() == certificate.public_key()
