"""`pps-qmix submit`: a run on a SuperLink that others have started, followed to its end."""

from __future__ import annotations

import argparse

from cli import flags, run_display, superlink
from operations import logs
from pps_qmix import training
from pps_qmix.requested_run import claimed
from server.settings import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    superlink.add_arguments(parser)
    parser.add_argument(
        "--envproxy",
        metavar="HOST:PORT",
        help="env proxy of the devices: asked how far a round is (default: not asked)",
    )
    run_display.add_arguments(parser)
    logs.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Submit and follow. Raises SettingsError (and other ValueErrors) for wrong flags, PartFailedError."""
    logs.choose(options.log_format)
    link = superlink.choose(options)
    requested = flags.choose(options)
    if requested.settings.centralised:
        raise SettingsError("centralised: expected false: a centralised run has nothing to federate (pps-qmix train)")
    with claimed(requested) as run:
        display = run_display.RunDisplay(run_display.console("submit", run.path.name))
        training.submit(run, link, options.envproxy, options.retries, display)
    display.conclude(run.path, run.settings.total_steps)
    return 0
