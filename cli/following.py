"""A run over Flower as its user sees it: progress while it is played, retries when it fails, its result."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli.defaults import Value
from cli.flags import Chosen
from cli.plain_console import PlainConsole
from cli.progress import ProgressDisplay
from cli.supervisor import RETRIES, supervise
from operations import logs
from operations.paths import shown
from server.checkpoints import newest_checkpoint_steps
from server.report import result_of
from server.run_directory import has_run, read_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--retries",
        type=_count,
        default=RETRIES,
        metavar="N",
        help="how often in a row a run over Flower that failed goes on from its newest checkpoint; "
        "a round that was finished since makes the next failure the first again (default: %(default)s)",
    )


def follow(
    chosen: Chosen,
    play: Callable[[dict[str, Value], Callable[[str], None]], None],
    where: Callable[[], tuple[int, int] | None],
    retries: int,
    console: PlainConsole,
) -> None:
    """Call `play` with the settings to submit until the run is at its end. Raises PartFailedError if it cannot be."""

    def steps() -> int | None:
        return newest_checkpoint_steps(chosen.path) if has_run(chosen.path) else None

    def go_on() -> None:
        play({**chosen.given, "resume": has_run(chosen.path)}, display.tell)

    with ProgressDisplay(chosen.path, chosen.settings.total_steps, where, console) as display:
        supervise(go_on, steps, retries, display.tell)


def console(command: str, run: str) -> PlainConsole:
    """Where a command says what it does: standard output, or its log."""
    if not logs.is_json():
        return PlainConsole()
    logs.set_up(command, run=run)
    return PlainConsole(file=logs.LoggedLines(logging.getLogger(command)), width=10_000)


@contextmanager
def told(chosen: Chosen, console: PlainConsole) -> Iterator[None]:
    """Say what is played, and in the end what came of it."""
    settings = chosen.settings
    console.say(
        f"{settings.map}: {chosen.n_agents} agents, {settings.method}, {settings.base}; run {shown(chosen.path)}"
    )
    began = time.monotonic()
    yield
    for name, value in result_of(read_rows(chosen.path)).items():
        console.say(f"{name}: {value}")
    console.say(f"time: {time.monotonic() - began:.0f} s")
    console.say(f"learning curve: {shown(chosen.path / 'curve.png')}")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected 0, 1, 2, ..., found {text!r}")
    return int(text)
