"""`pps-qmix agent`: a device. Runs the SuperNode of its seat or members until it is told to stop."""

from __future__ import annotations

import argparse

from envproxy import metrics_endpoint
from envproxy.transport import DEFAULT_ADDRESS
from operations import logs
from operations.addresses import check_address
from operations.home import made_home, pps_home
from operations.members import Member
from operations.paths import user_path
from pps_qmix.runtime import device
from pps_qmix.runtime.device_metrics import AgentMetrics

FREE = "free"  # as a seat: any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    holds = parser.add_mutually_exclusive_group(required=True)
    holds.add_argument(
        "--seat",
        help="the seat this device holds: 0, 1, 2, ...; 'free': the first that --credentials has a token of and no "
        "other pps-qmix agent with this $PPS_HOME holds",
    )
    holds.add_argument(
        "--members", metavar="TEAM:SEAT,...", help="the members this device holds, as 0:0,0:1,0:2; with --device"
    )
    holds.add_argument(
        "--capacity", type=int, metavar="N", help="up to N members, which the server chooses; with --device"
    )
    parser.add_argument(
        "--device", type=int, default=0, metavar="N", help="number of a device of several members (default: 0)"
    )
    parser.add_argument(
        "--tokens",
        type=user_path,
        metavar="DIR",
        help="the env proxy's folder of tokens, or a copy, for a device of several members (default: $PPS_HOME/tokens)",
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
    if options.seat is None:
        return _play_members(options)
    if options.seat != FREE and not options.seat.isdecimal():
        raise ValueError(f"seat: expected 0, 1, 2, ... or {FREE}, found {options.seat}")
    metrics_endpoint.check(options.metrics_listen, insecure=options.insecure)
    made_home()
    wanted = None if options.seat == FREE else int(options.seat)
    with device.held_seat(wanted, options.credentials, insecure=options.insecure) as (seat, home, credentials):
        logs.set_up(seat=seat)
        with metrics_endpoint.served(options.metrics_listen, AgentMetrics(pps_home(), seat)):
            device.play(seat, home, credentials, options.superlink, options.envproxy, insecure=options.insecure)
    return 0


def _play_members(options: argparse.Namespace) -> int:
    """Run a device of several members until interrupted. Raises as `run`."""
    if options.metrics_listen is not None:
        raise ValueError("metrics-listen: expected a device of one seat, --seat; one of several members has no metrics")
    try:
        members = tuple(Member.parse(text) for text in (options.members or "").split(",") if text)
    except ValueError as error:
        raise ValueError(f"members: {error}") from None
    if options.members is not None and not members:
        raise ValueError("members: expected TEAM:SEAT, as 0:2, found nothing")
    if options.members is None and options.capacity < 1:
        raise ValueError(f"capacity: expected 1 or more, found {options.capacity}")
    if options.device < 0:
        raise ValueError(f"device: expected 0, 1, 2, ..., found {options.device}")
    made_home()
    tokens = (options.tokens or pps_home() / "tokens").absolute()
    holds = device.Members(options.device, members, options.capacity or 0, tokens)
    with device.held_device(options.device, options.credentials, tokens, insecure=options.insecure) as (home, found):
        device.play(holds, home, found, options.superlink, options.envproxy, insecure=options.insecure)
    return 0
