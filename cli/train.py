"""`pps-qmix train`: a whole run on this machine, over Flower or in this process."""

from __future__ import annotations

import argparse
import logging
from typing import get_args

from cli import flags, following, memory
from cli.cores import cores
from cli.flags import Chosen
from cli.flower import FlowerRun
from cli.plain_console import PlainConsole
from cli.playable import check_in_process
from cli.progress import ProgressDisplay
from client.device import check_devices
from envproxy.rules import Rules
from operations import logs
from server.run_directory import Runtime, kept_runtime
from server.settings import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime",
        choices=get_args(Runtime),
        help="(default: a resumed run keeps its runtime; flower, or in-process with --centralised)",
    )
    following.add_arguments(parser)
    memory.add_arguments(parser)
    logs.add_arguments(parser)
    flags.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Train.

    Raises SettingsError (and other ValueErrors) for wrong flags, RunDirectoryError, DeviceError, BackendFailedError,
    or PartFailedError.
    """
    logs.choose(options.log_format)
    chosen = flags.choose(options)
    settings = chosen.settings
    runtime = choose_runtime(options.runtime, chosen)
    if settings.centralised and runtime == "flower":
        raise SettingsError("runtime: a centralised run has nothing to federate; expected in-process, found flower")
    check_devices(chosen.path.name)
    if runtime == "in-process":
        check_in_process(settings)
    else:
        backend = flags.backend_of(settings, 1)
        if not options.no_memory_check:
            memory.check_over_flower(backend.spec, settings)
        backend.prepare()  # the env proxy would say it in its log
    with flags.claimed(chosen) as claimed:
        console = following.console("train", claimed.path.name)
        with following.told(claimed, console):
            if runtime == "flower":
                _train_over_flower(claimed, options.retries, console)
            else:
                _train_in_process(claimed, console)
    return 0


def choose_runtime(named: Runtime | None, chosen: Chosen) -> Runtime:
    """Return the runtime that a user named, or that of the run to resume, or the default.

    Raises RunDirectoryError if the run to resume names a runtime that does not exist.
    """
    if named is not None:
        return named
    kept = kept_runtime(chosen.path) if chosen.settings.resume else None
    return kept or ("in-process" if chosen.settings.centralised else "flower")


def _train_over_flower(chosen: Chosen, retries: int, console: PlainConsole) -> None:
    with FlowerRun(chosen.settings.config(), chosen.path, chosen.n_agents) as flower:
        with console.status("starting the env proxy, the SuperLink and the SuperNodes"):
            flower.start()
        following.follow(chosen, flower.play, flower.where, retries, console)


def _train_in_process(chosen: Chosen, console: PlainConsole) -> None:
    from cli.in_process import Team, run_in_process  # noqa: PLC0415 - no torch where Flower's processes do the work

    logging.getLogger("server").addHandler(logging.NullHandler())  # the display tells what the log would
    logging.getLogger("strategies").addHandler(logging.NullHandler())
    settings = chosen.settings
    team = Team(
        settings.backend,
        settings.map,
        settings.battles,
        settings.arena,
        Rules.parse(settings.rules),
        options=settings.backend_options,
        centralised=settings.centralised,
        threads=settings.threads or cores(),
    )
    try:
        with ProgressDisplay(chosen.path, settings.total_steps, lambda: team.progress, console):
            run_in_process(settings.config(), chosen.given, team)
    finally:
        team.close()
