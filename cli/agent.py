"""`pps-qmix agent`: a device. Runs the SuperNode of one seat until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.agent_metrics import AgentMetrics
from cli.certs.folders import CA, SUPERNODE_KEY, seat_token
from cli.defaults import default_config
from cli.parts import Part, PartFailedError, free_ports
from cli.patience import Patience
from cli.supernode import supernode_command, supernode_environment
from client.launch import SeatAddress
from envproxy import metrics_endpoint
from envproxy.tokens import read_token, token_path
from envproxy.transport import (
    DEFAULT_ADDRESS,
    Transport,
    TransportError,
    UnreachableError,
    check_connection,
    is_loopback,
)
from operations import logs
from operations.addresses import check_address
from operations.home import made_home, pps_home
from operations.locks import InUseError, locked
from operations.paths import user_path
from operations.private_files import make_private_folder

log = logging.getLogger("agent")

FREE = "free"  # as a seat: any
RESTARTS = 5  # of a SuperNode that never stayed; whoever started this command may start it again
STAYED = 600.0  # seconds after which a SuperNode that ends is restarted as if it were the first time
PAUSE = 2.0  # seconds before the first restart; before each further one twice as many


@dataclass(frozen=True)
class Credentials:
    """What a device has of `pps-qmix certs`, or with plaintext at least a token."""

    token: Path
    root_certificates: Path | None
    key: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seat",
        required=True,
        help="the seat this device holds: 0, 1, 2, ...; 'free': the first that --credentials has a token of and no "
        "other pps-qmix agent with this $PPS_HOME holds",
    )
    parser.add_argument("--superlink", required=True, metavar="HOST:PORT", help="where devices reach the SuperLink")
    parser.add_argument("--envproxy", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help="(default: %(default)s)")
    parser.add_argument(
        "--credentials", type=user_path, metavar="DIR", help="this device's folder, device-SEAT, of pps-qmix certs"
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="speak plaintext with both; of --credentials only the token counts (default: $PPS_HOME/tokens/)",
    )
    metrics_endpoint.add_arguments(parser)
    logs.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run until interrupted. Raises ValueError or OSError for wrong flags and files, InUseError, PartFailedError."""
    logs.choose(options.log_format)
    logs.set_up()
    for name in ("superlink", "envproxy"):
        check_address(name, getattr(options, name))
    if options.seat != FREE and not options.seat.isdecimal():
        raise ValueError(f"seat: expected 0, 1, 2, ... or {FREE}, found {options.seat}")
    metrics_endpoint.check(options.metrics_listen, insecure=options.insecure)
    made_home()
    with _seat(options) as (seat, home, credentials):
        logs.set_up(seat=seat)
        with metrics_endpoint.served(options.metrics_listen, AgentMetrics(pps_home(), seat)):
            _play(options, seat, home, credentials)
    return 0


def _play(options: argparse.Namespace, seat: int, home: Path, found: Credentials) -> None:
    for who, where in (("SuperLink", options.superlink), ("env proxy", options.envproxy)):
        try:
            check_connection(who, where, Transport(found.root_certificates, options.insecure))
        except UnreachableError as error:
            log.warning("%s; it is called again and again", error)
        except TransportError as error:
            raise PartFailedError(f"the {error}") from None
    transport = Transport(found.root_certificates, options.insecure and not is_loopback(options.envproxy))
    address = SeatAddress(seat, options.envproxy, found.token, transport)
    (port,) = free_ports(1)
    command = supernode_command(address, options.superlink, port, home, found.root_certificates, found.key)
    node = Part(
        f"the SuperNode of seat {seat}",
        command,
        log=None,
        environment=supernode_environment(options.superlink, home, found.root_certificates),
    )
    try:
        keep_running(node)
    finally:
        node.end()


def keep_running(node: Part) -> None:
    """Start a process again whenever it ends. Raises PartFailedError when it has not stayed for too many times."""
    patience = Patience(RESTARTS, PAUSE)
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
def _seat(options: argparse.Namespace) -> Iterator[tuple[int, Path, Credentials]]:
    """Hold the seat that is wanted. Raises InUseError if another process has it, ValueError or OSError."""
    folder: Path | None = options.credentials and options.credentials.absolute()
    if options.seat != FREE:
        seat = int(options.seat)
        found = _credentials(folder, seat, options.insecure)
        with _home(seat) as home:
            yield seat, home, found
        return
    where = folder or pps_home() / "tokens" / str(default_config()["arena"])
    numbers = [path.stem.removeprefix("seat-") for path in where.glob("seat-*.token")]
    seats = sorted(int(number) for number in numbers if number.isdecimal())
    for seat in seats:
        with ExitStack() as held:
            try:
                home = held.enter_context(_home(seat))
            except InUseError:
                continue
            yield seat, home, _credentials(folder, seat, options.insecure)
            return
    raise ValueError(f"seat: none is free of the {len(seats)} that {where} has tokens of")


def _credentials(folder: Path | None, seat: int, insecure: bool) -> Credentials:
    """Return the device's files. Raises ValueError or OSError, saying what is missing."""
    if folder is None:
        if not insecure:
            raise ValueError(
                "credentials: name this device's folder of pps-qmix certs, --credentials DIR, or say --insecure "
                "where nobody else can listen"
            )
        arena = str(default_config()["arena"])
        token = token_path(pps_home() / "tokens", arena, seat)
        read_token(token)
        return Credentials(token, None, None)
    token = seat_token(folder, seat)
    if not folder.is_dir():
        raise ValueError(f"credentials: there is no folder {folder}")
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
def _home(seat: int) -> Iterator[Path]:
    """Keep the SuperNode's folder for this process alone. Raises InUseError if another one has it."""
    folder = pps_home() / ".supernodes" / f"seat-{seat}"  # no run has a name like that
    make_private_folder(folder)
    in_use = f"seat: another pps-qmix agent plays seat {seat} here; PPS_HOME tells devices apart"
    with locked(folder / "lock", in_use):
        yield folder
