"""A run as the user of a command sees it: its settings, progress and retries while it is played, its result."""

from __future__ import annotations

import argparse
import logging
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.plain_console import PlainConsole
from cli.progress import ProgressDisplay
from operations import logs
from operations.members import Teams
from operations.paths import shown
from operations.program import program
from pps_qmix.requested_run import RequestedRun
from pps_qmix.runtime.supervisor import RETRIES
from pps_qmix.training import Progress, Tell
from server.report.summary import result_of
from server.report.words import duration, heading
from server.run_directory import read_rows, report_path, watch_path


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
        self._took = 0.0

    @contextmanager
    def __call__(self, run: RequestedRun, progress: Progress) -> Iterator[Tell]:
        """Say what is played, and show the progress."""
        settings = run.settings
        self._console.say(f"{heading(settings.config(), run.n_agents)}; run {shown(run.path)}")
        teams, follows = Teams(settings.teams, run.n_agents), (run.path, settings.total_steps, progress)
        began = time.monotonic()
        with ProgressDisplay(*follows, self._console, teams) as display:
            yield display.tell
        self._took = time.monotonic() - began

    def conclude(self, run: Path, total_steps: int) -> None:
        """Say the result of a run at its end, where its pages are, and the commands that use it."""
        for name, value in result_of(read_rows(run)).items():
            self._console.say(f"{name}: {value}")
        self._console.say(f"time: {duration(self._took)}")
        self._console.say(f"report: {shown(report_path(run))}")
        if watch_path(run).exists():
            self._console.say(f"battles: {shown(watch_path(run))}")
        called, name = shlex.quote(program()), shlex.quote(str(run))
        self._console.say(f"watch it: {called} watch {shown(name)}")
        self._console.say(f"resume it: {called} train --resume {shown(name)} --total-steps {2 * total_steps}")


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
