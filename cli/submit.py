"""`pps-qmix submit`: hands a run to a SuperLink, follows it to its end, and fails if the run does."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from cli.addresses import check_address
from cli.choice import add_setting_flags, choose
from cli.parts import PartFailedError
from cli.progress import ProgressDisplay, console_of, show_result
from cli.submission import Outcome, Submission
from envproxy.transport import is_loopback
from operations import logs
from server.settings import SettingsError

_ASK_EVERY = 5.0  # seconds, while a run is on that its SuperLink no longer tells of
_SILENCE = 180.0  # seconds that a SuperLink may take to come back


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--superlink", required=True, metavar="HOST:PORT", help="where the SuperLink's Control API is")
    parser.add_argument("--root-certificates", type=Path, metavar="FILE", help="CA certificate of the SuperLink's")
    parser.add_argument("--insecure", action="store_true", help="speak plaintext with a SuperLink on another machine")
    logs.add_arguments(parser)
    add_setting_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Submit and follow. Raises SettingsError (and other ValueErrors), RunDirectoryError, PartFailedError."""
    logs.choose(options.log_format)
    check_address("superlink", options.superlink)
    if options.root_certificates is None and not options.insecure and not is_loopback(options.superlink):
        raise ValueError(
            f"superlink: {options.superlink} is another machine; give --root-certificates FILE, or --insecure where "
            "nobody else can listen"
        )
    settings, given, path = choose(options)
    if settings.centralised:
        raise SettingsError("centralised: such a run has nothing to federate; pps-qmix train plays it in one process")
    console = console_of("submit", path.name)
    console.print(f"{settings.map}: {settings.method}, {settings.base}; run {path}", soft_wrap=True)
    began = time.monotonic()
    certificates = options.root_certificates and options.root_certificates.expanduser().absolute()
    with tempfile.TemporaryDirectory(prefix="pps-qmix-") as folder:
        log = Path(folder) / "run.log"
        submission = Submission(options.superlink, given, Path(folder), log, certificates)
        try:
            with ProgressDisplay(path, settings.total_steps, lambda: None, console):
                outcome = _follow(submission)
            if not outcome.completed:
                raise PartFailedError(str(outcome))
        except KeyboardInterrupt:
            submission.stop()
            raise
        finally:
            submission.stream.end()
    show_result(path, time.monotonic() - began, console)
    return 0


def _follow(submission: Submission) -> Outcome:
    """Return how the run ended. A SuperLink may be away meanwhile. Raises PartFailedError if it does not come back."""
    submission.stream.wait()
    heard = time.monotonic()
    while True:
        try:
            outcome = submission.outcome()
            heard = time.monotonic()
        except PartFailedError:
            if time.monotonic() - heard > _SILENCE:
                raise
        else:
            if outcome.over:
                return outcome
        time.sleep(_ASK_EVERY)
