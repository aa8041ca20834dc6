"""`pps-qmix submit`: a run on a SuperLink that others have started, followed to its end."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from cli import flags, following
from cli.addresses import check_address
from cli.defaults import Value
from cli.flags import Chosen
from cli.submission import Submission, SuperLink
from envproxy.transport import is_loopback
from operations import logs
from server.settings import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--superlink", required=True, metavar="HOST:PORT", help="where its Control API listens")
    parser.add_argument(
        "--root-certificates", type=Path, metavar="FILE", help="CA certificate that the SuperLink's is verified with"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="speak plaintext to a SuperLink that is not on the loopback"
    )
    following.add_arguments(parser)
    logs.add_arguments(parser)
    flags.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Submit and follow. Raises SettingsError (and other ValueErrors) for wrong flags, PartFailedError."""
    logs.choose(options.log_format)
    superlink = _superlink(options)
    chosen = flags.choose(options)
    if chosen.settings.centralised:
        raise SettingsError("centralised: expected false: a centralised run has nothing to federate (pps-qmix train)")
    console = following.console("submit", chosen.path.name)
    with following.told(chosen, console), tempfile.TemporaryDirectory(prefix="pps-qmix-") as home:
        following.follow(chosen, _player(chosen, superlink, Path(home)), lambda: None, options.retries, console)
    return 0


def _player(
    chosen: Chosen, superlink: SuperLink, home: Path
) -> Callable[[dict[str, Value], Callable[[str], None]], None]:
    logs = chosen.path / "logs"
    logs.mkdir(parents=True, exist_ok=True)

    def play(given: dict[str, Value], _: Callable[[str], None]) -> None:
        submission = Submission(superlink, given, home, logs / "run.log")
        try:
            submission.follow(lambda: None)
        except KeyboardInterrupt:
            submission.stop()  # it would go on without us
            raise
        finally:
            submission.stream.end()

    return play


def _superlink(options: argparse.Namespace) -> SuperLink:
    """Raises ValueError."""
    address, certificates = options.superlink, options.root_certificates
    check_address("superlink", address)
    if certificates is not None:
        if options.insecure:
            raise ValueError("insecure: with --root-certificates nothing is in plaintext; leave one of the two away")
        if not certificates.is_file():
            raise ValueError(f"root-certificates: there is no file {certificates}")
        return SuperLink(address, certificates.absolute())
    if not options.insecure and not is_loopback(address):
        raise ValueError(
            f"superlink: {address} is another machine; give --root-certificates for TLS, or --insecure where nobody "
            "else can listen"
        )
    return SuperLink(address)
