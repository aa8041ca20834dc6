"""`pps-qmix train`: a whole run on this machine, over Flower or in this process."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

from rich.console import Console

from cli.choice import add_setting_flags, choose
from cli.cores import cores
from cli.defaults import Value
from cli.flower import FlowerRun
from cli.progress import ProgressDisplay, console_of, show_result
from envproxy.backend import create_backend
from envproxy.rules import Rules
from operations import logs
from server.settings import Settings, SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_setting_flags(parser)
    parser.add_argument(
        "--runtime", choices=("flower", "in-process"), help="(default: flower; in-process with --centralised true)"
    )
    logs.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Train. Raises SettingsError (and other ValueErrors) for wrong flags, RunDirectoryError, PartFailedError."""
    logs.choose(options.log_format)
    settings, given, path = choose(options)
    runtime = options.runtime or ("in-process" if settings.centralised else "flower")
    if settings.centralised and runtime == "flower":
        raise SettingsError("runtime: a centralised run has nothing to federate; expected in-process, found flower")
    if runtime == "in-process":
        if settings.attest_key:
            raise SettingsError("attest-key: expected none with --runtime in-process: there is no env proxy that signs")
        from learning.compute import compute_device  # noqa: PLC0415 - no torch where Flower's processes do the work

        compute_device(settings.device)  # or it would be refused when there is a run directory
    backend = create_backend(settings.backend, settings.map, 1, Rules.parse(settings.rules))
    n_agents = backend.spec.n_agents
    backend.close()
    console = console_of("train", path.name)
    console.print(f"{settings.map}: {n_agents} agents, {settings.method}, {settings.base}; run {path}", soft_wrap=True)
    began = time.monotonic()
    if runtime == "flower":
        _train_over_flower(settings, given, path, n_agents, console)
    else:
        _train_in_process(settings, given, path, console)
    show_result(path, time.monotonic() - began, console)
    return 0


def _train_over_flower(
    settings: Settings, given: dict[str, Value], path: Path, n_agents: int, console: Console
) -> None:
    with FlowerRun(settings.config(), given, path, n_agents) as flower:
        with console.status("starting the env proxy, the SuperLink and the SuperNodes"):
            flower.start()
        with ProgressDisplay(path, settings.total_steps, flower.where, console) as display:
            flower.follow(display.tell)


def _train_in_process(settings: Settings, given: dict[str, Value], path: Path, console: Console) -> None:
    from cli.in_process import Team, run_in_process  # noqa: PLC0415 - no torch where Flower's processes do the work

    logging.getLogger("server").addHandler(logging.NullHandler())  # the display tells what the log would
    logging.getLogger("strategies").addHandler(logging.NullHandler())
    team = Team(
        settings.backend,
        settings.map,
        settings.battles,
        settings.arena,
        Rules.parse(settings.rules),
        centralised=settings.centralised,
        threads=settings.threads or cores(),
    )
    try:
        with ProgressDisplay(path, settings.total_steps, lambda: team.progress, console):
            run_in_process(settings.config(), given, team)
    finally:
        team.close()
