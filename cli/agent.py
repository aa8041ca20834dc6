"""`pps-qmix agent`: a device. Runs the SuperNode of one seat until it is told to stop."""

from __future__ import annotations

import argparse

from envproxy import metrics_endpoint
from envproxy.transport import DEFAULT_ADDRESS
from operations import logs
from operations.addresses import check_address
from operations.home import made_home, pps_home
from operations.paths import user_path
from pps_qmix.runtime import device
from pps_qmix.runtime.device_metrics import AgentMetrics

FREE = "free"  # as a seat: any


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
    wanted = None if options.seat == FREE else int(options.seat)
    with device.held_seat(wanted, options.credentials, insecure=options.insecure) as (seat, home, credentials):
        logs.set_up(seat=seat)
        with metrics_endpoint.served(options.metrics_listen, AgentMetrics(pps_home(), seat)):
            device.play(seat, home, credentials, options.superlink, options.envproxy, insecure=options.insecure)
    return 0
