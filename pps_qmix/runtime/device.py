"""A device: the seat or members that it holds, its credentials, and its SuperNode, restarted when it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from client.launch import Address, HostAddress, SeatAddress
from envproxy.tokens import read_token, token_path
from envproxy.transport import Transport, TransportError, UnreachableError, check_connection, is_loopback
from operations.home import pps_home
from operations.locks import InUseError, locked
from operations.members import Member
from operations.private_files import make_private_folder
from pps_qmix.configuration import default_config
from pps_qmix.credentials.folders import CA, SUPERNODE_KEY, seat_token
from pps_qmix.runtime.processes import Part, PartFailedError, free_ports
from pps_qmix.runtime.retry_policy import RetryPolicy
from pps_qmix.runtime.supernode import supernode_command, supernode_environment

log = logging.getLogger("agent")

RESTARTS = 5  # of a SuperNode that never stayed; a service manager may restart this command
STAYED = 600.0  # seconds after which a SuperNode that ends is restarted as if it were the first time
PAUSE = 2.0  # seconds before the first restart; before each further one twice as many


@dataclass(frozen=True)
class Credentials:
    """What a device has of `pps-qmix certs`, or with plaintext at least a token."""

    token: Path
    root_certificates: Path | None
    key: Path | None


@dataclass(frozen=True)
class Members:
    """What a device of several members holds: those that are named, or as many as `capacity`, which the server names.

    `tokens` is the folder of the env proxy's tokens, or a copy of it.
    """

    device: int
    members: tuple[Member, ...]
    capacity: int
    tokens: Path


def play(
    holds: int | Members, home: Path, found: Credentials, superlink: str, envproxy: str, *, insecure: bool
) -> None:
    """Run the SuperNode of a seat, or of several members, until interrupted.

    `home` is its folder, from `held_seat` or `held_device`. Raises PartFailedError if a server has the wrong
    certificate, or the SuperNode ends again and again.
    """
    for who, where in (("SuperLink", superlink), ("env proxy", envproxy)):
        try:
            check_connection(who, where, Transport(found.root_certificates, insecure))
        except UnreachableError as error:
            log.warning("%s; the device calls it again and again", error)
        except TransportError as error:
            raise PartFailedError(f"the {error}") from None
    transport = Transport(found.root_certificates, insecure and not is_loopback(envproxy))
    address = _address(holds, envproxy, found, transport)
    (port,) = free_ports(1)
    node = Part(
        f"the SuperNode of {address.name}",
        supernode_command(address, superlink, port, home, found.root_certificates, found.key),
        log=None,
        environment=supernode_environment(superlink, home, found.root_certificates),
    )
    try:
        keep_running(node)
    finally:
        node.end()


def _address(holds: int | Members, envproxy: str, found: Credentials, transport: Transport) -> Address:
    if isinstance(holds, Members):
        return HostAddress(holds.device, holds.members, holds.capacity, envproxy, holds.tokens, transport)
    return SeatAddress(holds, envproxy, found.token, transport)


def keep_running(node: Part) -> None:
    """Start a process again whenever it ends. Raises PartFailedError when it has not stayed for too many times."""
    patience = RetryPolicy(RESTARTS, PAUSE)
    while True:
        began = time.monotonic()
        node.wait()
        if time.monotonic() - began > STAYED:
            patience.forget()
        pause = patience.next_pause()
        if pause is None:
            times = patience.failures
            raise PartFailedError(f"{node.name} ended {times} times ({node.ending}); see above why")
        log.warning("%s ended (%s); starting it again in %.0f s", node.name, node.ending, pause)
        node.kill()  # what it has left behind in its group
        time.sleep(pause)
        node.restart()


@contextmanager
def held_seat(seat: int | None, folder: Path | None, *, insecure: bool) -> Iterator[tuple[int, Path, Credentials]]:
    """Hold a seat (None: the first free one) while the block lasts; yield it, its folder and its credentials.

    `folder` has the credentials of `pps-qmix certs`. Raises InUseError if another process holds the seat, ValueError
    or OSError for wrong credentials.
    """
    folder = folder and folder.absolute()
    if seat is not None:
        found = _credentials(folder, seat, insecure)
        with _home(f"seat-{seat}", "seat") as home:
            yield seat, home, found
        return
    where = folder or pps_home() / "tokens" / str(default_config()["arena"])
    numbers = [path.stem.removeprefix("seat-") for path in where.glob("seat-*.token")]
    seats = sorted(int(number) for number in numbers if number.isdecimal())
    for free in seats:
        with ExitStack() as held:
            try:
                home = held.enter_context(_home(f"seat-{free}", "seat"))
            except InUseError:
                continue
            yield free, home, _credentials(folder, free, insecure)
            return
    raise ValueError(f"seat: none is free of the {len(seats)} that {where} has tokens of")


@contextmanager
def held_device(
    device: int, folder: Path | None, tokens: Path, *, insecure: bool
) -> Iterator[tuple[Path, Credentials]]:
    """Hold the number of a device of several members while the block lasts; yield its folder and its credentials.

    `folder` has those of `pps-qmix certs` for one device, `tokens` the env proxy's tokens. Raises as `held_seat`.
    """
    folder = folder and folder.absolute()
    if not tokens.is_dir():
        raise ValueError(f"tokens: the folder {tokens} does not exist; copy the env proxy's folder of tokens")
    if insecure:
        found = Credentials(tokens, None, None)
    else:
        if folder is None:
            raise ValueError(
                "credentials: name a folder of pps-qmix certs, --credentials DIR, or say --insecure on a private "
                "network"
            )
        missing = [name for name in (CA, SUPERNODE_KEY) if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"credentials: {folder} lacks {', '.join(missing)}; copy a whole folder of pps-qmix certs")
        found = Credentials(tokens, folder / CA, folder / SUPERNODE_KEY)
    with _home(f"device-{device}", "device") as home:
        yield home, found


def _credentials(folder: Path | None, seat: int, insecure: bool) -> Credentials:
    """Return the device's files. Raises ValueError or OSError, saying what is missing."""
    if folder is None:
        if not insecure:
            raise ValueError(
                "credentials: name this device's folder of pps-qmix certs, --credentials DIR, or say --insecure "
                "on a private network"
            )
        arena = str(default_config()["arena"])
        token = token_path(pps_home() / "tokens", arena, seat)
        read_token(token)
        return Credentials(token, None, None)
    token = seat_token(folder, seat)
    if not folder.is_dir():
        raise ValueError(f"credentials: the folder {folder} does not exist")
    others = sorted(path.name for path in folder.glob("seat-*.token"))
    if others and token.name not in others:
        raise ValueError(f"seat: {folder} has {others[0]}, not {token.name}; which seat does this device hold?")
    root_certificates, key = folder / CA, folder / SUPERNODE_KEY
    needed = [token] if insecure else [token, root_certificates, key]
    missing = [path.name for path in needed if not path.is_file()]
    if missing:
        raise ValueError(f"credentials: {folder} lacks {', '.join(missing)}; copy the whole folder device-{seat}")
    read_token(token)
    return Credentials(token, None, None) if insecure else Credentials(token, root_certificates, key)


@contextmanager
def _home(name: str, flag: str) -> Iterator[Path]:
    """Keep the SuperNode's folder for this process alone. Raises InUseError if another one has it."""
    folder = pps_home() / ".supernodes" / name  # no run has a name like that
    make_private_folder(folder)
    who = name.replace("-", " ")
    in_use = f"{flag}: another pps-qmix agent plays {who} here; PPS_HOME tells devices apart"
    with locked(folder / "lock", in_use):
        yield folder
