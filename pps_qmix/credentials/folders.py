"""The folders that `pps-qmix certs` fills, one for each machine, and what goes into them.

DIR/
    authority/      ca.crt, ca.key: the key signs the servers' certificates; keep it off the network
    coordinator/    ca.crt, superlink.crt, superlink.key, attest.key, supernodes/seat-<i>.pub
    battle-host/    envproxy.crt, envproxy.key, attest.key, tokens/<arena>/seat-<i>.token
    device-<i>/     ca.crt, supernode.key, seat-<i>.token
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from envproxy.attestation import keep_key
from envproxy.tokens import keep_tokens, read_token, replace_token, token_path
from envproxy.transport import expiry
from operations.private_files import make_private_folder, replace_private
from pps_qmix.credentials.authority import (
    Pair,
    hosts_of,
    issue,
    make_authority,
    make_supernode_key,
    public_supernode_key,
)

LOOPBACK = ("localhost", "127.0.0.1", "::1")
CA, SUPERNODE_KEY, ATTEST_KEY = "ca.crt", "supernode.key", "attest.key"

_AUTHORITY_DAYS = 3650

T = TypeVar("T")


class FoldersError(ValueError):
    """What is there does not go with what is wanted; the message names the file. Nothing was written."""


def seat_token(folder: Path, seat: int) -> Path:
    """Return where a device's folder has its token."""
    return folder / f"seat-{seat}.token"


def _read(certificate: Path, reader: Callable[[bytes], T]) -> T:
    """Return what `reader` finds in a certificate. Raises FoldersError if that is none."""
    try:
        return reader(certificate.read_bytes())
    except (ValueError, x509.ExtensionNotFound) as error:
        reason = " ".join(str(error).split())
        raise FoldersError(
            f"{certificate} is no certificate of the kind that is needed ({reason}); put the right one back, or have a "
            "server's written again with --renew"
        ) from None


@dataclass(frozen=True)
class Wanted:
    """What `pps-qmix certs` was told."""

    hosts: Sequence[str]  # names and addresses of the coordinator
    battle_hosts: Sequence[str]  # and of the battle host
    seats: int
    arena: str
    days: int
    renew: bool = False  # the servers' certificates
    replaced: frozenset[int] = frozenset()  # seats


class Folders:
    """The folders in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._authority = directory / "authority"
        self._coordinator = directory / "coordinator"
        self._battle_host = directory / "battle-host"
        self._tokens = self._battle_host / "tokens"
        self._servers = {"superlink": self._coordinator, "envproxy": self._battle_host}

    def fill(self, wanted: Wanted, now: datetime.datetime) -> Iterator[str]:
        """Make what is wanted and not there yet; yield what was made.

        What is there stays, but for what `renew` and `replaced` name. Raises FoldersError before anything is written,
        OSError if a file cannot be read or written.
        """
        self._check(wanted, now)
        for folder in (self.directory, self._authority, self._coordinator, self._battle_host):
            make_private_folder(folder)
        make_private_folder(self._coordinator / "supernodes")
        if not (self._authority / CA).exists():
            made = make_authority(now, _AUTHORITY_DAYS)
            replace_private(self._authority / "ca.key", made.private_key)
            yield self._write(self._authority / CA, made.certificate)
        ca = (self._authority / CA).read_bytes()
        if not (self._coordinator / CA).exists():
            yield self._write(self._coordinator / CA, ca)
        for name, hosts in (("superlink", wanted.hosts), ("envproxy", wanted.battle_hosts)):
            if wanted.renew or not self._certificate(name).exists():
                yield self._issue(name, hosts, now, wanted.days)
        yield from self._attestation()
        yield from self._tokens_of_devices(wanted)
        keep_tokens(self._tokens, wanted.arena, wanted.seats)
        for seat in range(wanted.seats):
            yield from self._device(seat, wanted, ca)

    def _check(self, wanted: Wanted, now: datetime.datetime) -> None:
        ca, key = self._authority / CA, self._authority / "ca.key"
        if not ca.exists():
            signed = [key, self._coordinator / CA, *map(self._certificate, self._servers)]
            of_it = next((path for path in [*signed, *self.directory.glob(f"device-*/{CA}")] if path.exists()), None)
            if of_it is not None:
                raise FoldersError(
                    f"{ca} is not there, but {of_it} is, which goes with it; put it back, or begin in another folder"
                )
        elif _read(ca, expiry) < now:
            raise FoldersError(f"{ca} has expired; begin in another folder, and give every machine its new files")
        missing = [name for name in self._servers if not self._certificate(name).exists()]
        if ca.exists() and (wanted.renew or missing) and not key.exists():
            raise FoldersError(f"{key} is not there, and no certificate can be signed without it; put it back")
        for name, hosts in (("superlink", wanted.hosts), ("envproxy", wanted.battle_hosts)):
            path = self._certificate(name)
            if path.exists() and not wanted.renew:
                lacking = sorted(set(hosts) - set(_read(path, hosts_of)))
                if lacking:
                    raise FoldersError(f"{path} is not for {', '.join(lacking)}; --renew writes it and its key again")
        others = sorted(path.name for path in self._tokens.glob("*") if path.is_dir() and path.name != wanted.arena)
        if others:
            raise FoldersError(f"{self._tokens} has the tokens of arena {others[0]}; make those of another elsewhere")
        beyond = sorted(seat for seat in wanted.replaced if not self._public_key(seat).exists())
        if beyond:
            raise FoldersError(f"seat {beyond[0]} has no key yet that could be replaced; make it with --seats")
        for seat in self._without_token(wanted):
            if not self._device_token(seat).exists():
                raise FoldersError(
                    f"{token_path(self._tokens, wanted.arena, seat)} is not there, and its device has it; put it back, "
                    f"or make both again with --replace-seat {seat}"
                )

    def _without_token(self, wanted: Wanted) -> list[int]:
        """The seats whose devices were made, but whose tokens are not where the env proxy finds them."""
        made = [seat for seat in range(wanted.seats) if self._public_key(seat).exists() and seat not in wanted.replaced]
        return [seat for seat in made if not token_path(self._tokens, wanted.arena, seat).exists()]

    def _tokens_of_devices(self, wanted: Wanted) -> Iterator[str]:
        """Take what the env proxy lacks from the devices' folders."""
        for seat in self._without_token(wanted):
            token = token_path(self._tokens, wanted.arena, seat)
            for folder in (self._tokens, token.parent):
                make_private_folder(folder)
            replace_private(token, f"{read_token(self._device_token(seat))}\n".encode())
            yield f"{token}, as its device has it"

    def _issue(self, name: str, hosts: Sequence[str], now: datetime.datetime, days: int) -> str:
        path = self._certificate(name)
        try:
            before = _read(path, hosts_of) if path.exists() else []
        except FoldersError:  # it is written again because it is damaged
            before = []
        names = list(dict.fromkeys([*hosts, *before, *LOOPBACK]))
        authority = Pair((self._authority / CA).read_bytes(), (self._authority / "ca.key").read_bytes())
        made = issue(authority, names, now, days)
        replace_private(path.with_suffix(".key"), made.private_key)
        said = self._write(path, made.certificate)
        return f"{said} and .key: for {', '.join(names)}; until {expiry(made.certificate):%Y-%m-%d}"

    def _attestation(self) -> Iterator[str]:
        """Make the key that coordinator and battle host share; what either has stays."""
        kept, copy = (folder / ATTEST_KEY for folder in (self._battle_host, self._coordinator))
        if not kept.exists() and copy.exists():
            kept, copy = copy, kept
        if not copy.exists():
            keep_key(kept)
            yield f"{self._write(copy, kept.read_bytes())}, and the same for the {kept.parent.name}"

    def _device(self, seat: int, wanted: Wanted, ca: bytes) -> Iterator[str]:
        """Fill a device's folder. Its public key is written last: where it is, the folder may have been handed out."""
        folder, public = self.directory / f"device-{seat}", self._public_key(seat)
        if public.exists() and seat not in wanted.replaced:
            return
        make_private_folder(folder)
        if seat in wanted.replaced:
            replace_token(self._tokens, wanted.arena, seat)
        token = read_token(token_path(self._tokens, wanted.arena, seat))
        private = make_supernode_key()
        replace_private(folder / CA, ca)
        replace_private(seat_token(folder, seat), f"{token}\n".encode())
        replace_private(folder / SUPERNODE_KEY, private)
        yield f"{folder}: {CA}, {SUPERNODE_KEY}, {seat_token(folder, seat).name}"
        yield self._write(public, public_supernode_key(private, f"seat-{seat}"))

    def _device_token(self, seat: int) -> Path:
        return seat_token(self.directory / f"device-{seat}", seat)

    def _certificate(self, name: str) -> Path:
        return self._servers[name] / f"{name}.crt"

    def _public_key(self, seat: int) -> Path:
        return self._coordinator / "supernodes" / f"seat-{seat}.pub"

    @staticmethod
    def _write(path: Path, content: bytes) -> str:
        replace_private(path, content)
        return str(path)
