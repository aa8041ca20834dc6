"""A run as the user of a command sees it: its settings, progress and retries while it is played, its result."""

from __future__ import annotations

import argparse
import logging
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cli.plain_console import PlainConsole
from cli.progress import ProgressDisplay
from operations import logs
from operations.members import Teams
from operations.paths import shown
from pps_qmix.requested_run import RequestedRun
from pps_qmix.runtime.supervisor import RETRIES
from pps_qmix.training import Progress, Tell
from server.report.summary import result_of
from server.report.words import duration, heading
from server.run_directory import read_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--retries",
        type=_count,
        default=RETRIES,
        metavar="N",
        help="times in a row that a failed run over Flower resumes from its newest checkpoint; a finished round "
        f"restarts the count (default: {RETRIES})",
    )


class RunDisplay:
    """Shows what a command says of a run."""

    def __init__(self, console: PlainConsole) -> None:
        self._console = console

    @contextmanager
    def __call__(self, run: RequestedRun, progress: Progress) -> Iterator[Tell]:
        """Say what is played, show the progress, and in the end the result."""
        settings = run.settings
        self._console.say(f"{heading(settings.config(), run.n_agents)}; run {shown(run.path)}")
        teams, follows = Teams(settings.teams, run.n_agents), (run.path, settings.total_steps, progress)
        began = time.monotonic()
        with ProgressDisplay(*follows, self._console, teams) as display:
            yield display.tell
        for name, value in result_of(read_rows(run.path)).items():
            self._console.say(f"{name}: {value}")
        self._console.say(f"time: {duration(time.monotonic() - began)}")
        self._console.say(f"report: {shown(run.path / 'report.html')}")
        name = shlex.quote(str(run.path))
        self._console.say(f"watch it: pps-qmix watch {shown(name)}")
        self._console.say(
            f"continue it: pps-qmix train --resume {shown(name)} --total-steps {2 * settings.total_steps}"
        )


def console(command: str, run: str) -> PlainConsole:
    """Return where a command says what it says of a run: standard output, or its log."""
    if not logs.is_json():
        return PlainConsole()
    logs.set_up(command, "pps_qmix", run=run)
    return PlainConsole(file=logs.LoggedLines(logging.getLogger(command)), width=10_000)


def silence_logs() -> None:
    """Keep the ServerApp's log from standard error, where it is in this process: the display shows the same."""
    for name in ("server", "strategies"):
        logging.getLogger(name).addHandler(logging.NullHandler())


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected 0, 1, 2, ..., found {text!r}")
    return int(text)
