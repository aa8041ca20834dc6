"""`pps-qmix doctor`: a line for each check; ends with 1 if one has failed."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from cli.certs.folders import CA
from cli.defaults import default_config
from cli.doctor import credentials, machine, network, packages, starcraft
from cli.doctor.finding import Finding, Level
from cli.plain_console import PlainConsole
from envproxy.backend import create_backend
from envproxy.rules import Rules
from envproxy.transport import DEFAULT_ADDRESS, Transport
from operations.addresses import check_address
from operations.paths import shown, user_path
from server.settings import check_settings

_DEFAULT_SUPERLINK = "127.0.0.1:8000"  # Flower's
_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = default_config()
    parser.add_argument("--credentials", type=user_path, metavar="DIR", help="this machine's folder of pps-qmix certs")
    parser.add_argument("--superlink", metavar="HOST:PORT", help="the SuperLink that devices here call")
    parser.add_argument("--envproxy", metavar="HOST:PORT", help="the env proxy that devices here call")
    parser.add_argument("--arena", default=str(defaults["arena"]), help="of that env proxy (default: %(default)s)")
    parser.add_argument("--map", default=str(defaults["map"]), help="whose runs must have room (default: %(default)s)")
    parser.add_argument(
        "--buffer-size", type=int, default=defaults["buffer-size"], help="battles of a device (default: %(default)s)"
    )
    parser.add_argument("--runs", type=user_path, default=Path(str(defaults["runs"])), help="(default: %(default)s)")
    parser.add_argument(
        "--starcraft", action="store_true", help="look for StarCraft II and SMAC, too, and start a game on --map"
    )
    parser.add_argument("--rules", default="", metavar="'NAME=VALUE, ...'", help="that this game is started under")
    parser.add_argument("--backend-options", default="", metavar="'NAME=VALUE, ...'", help="how it runs here")
    parser.add_argument("--json", action="store_true", help="say it as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print what was found; return 1 if something has failed. Raises ValueError for wrong flags."""
    for name in ("superlink", "envproxy"):
        if getattr(options, name) is not None:
            check_address(name, getattr(options, name))
    if options.buffer_size < 1:
        raise ValueError(f"buffer-size: expected at least 1 battle, found {options.buffer_size}")
    if options.starcraft:  # refuse wrong ones before anything is printed
        create_backend(starcraft.BACKEND, options.map, 1, Rules.parse(options.rules), options.backend_options)
    console = PlainConsole()
    found = []
    for finding in examine(options):
        found.append(finding)
        if not options.json:
            console.print(
                Text(f"{finding.level:8}", _COLOURS[finding.level]) + Text(f"{finding.check}: {shown(finding.says)}"),
                soft_wrap=True,
            )
    healthy = all(finding.level is not Level.FAILED for finding in found)
    if options.json:
        print(json.dumps({"ok": healthy, "checks": [dataclasses.asdict(finding) for finding in found]}))
    return 0 if healthy else 1


def examine(options: argparse.Namespace) -> Iterator[Finding]:
    """Make all checks that the options ask for."""
    yield from packages.check_packages()
    if not options.starcraft:
        yield from starcraft.check_own_smac()
    yield machine.check_numba_cache()
    home, runs = _home("PPS_HOME", ".pps-qmix"), options.runs.absolute()
    yield machine.check_folder("PPS_HOME", home, "name another folder in PPS_HOME")
    yield machine.check_folder("FLWR_HOME", _home("FLWR_HOME", ".flwr"), "name another folder in FLWR_HOME")
    yield machine.check_flower_commands()
    if home is not None:
        backend = create_backend(str(default_config()["backend"]), options.map, 1)
        spec = backend.spec
        backend.close()
        yield from machine.check_room(home, runs, spec, options.buffer_size, int(default_config()["hidden"]))
        yield machine.check_memory(spec, check_settings({**default_config(), "map": options.map}))
    yield machine.check_open_files()
    transport = Transport(insecure=True)
    if options.credentials is not None:
        folder = options.credentials.absolute()
        yield from credentials.check_credentials(folder, datetime.datetime.now(datetime.UTC))
        if (folder / CA).is_file():
            transport = Transport(folder / CA)
    yield network.check_proxies()
    if options.superlink is None:
        yield network.check_port("SuperLink", _DEFAULT_SUPERLINK)
    else:
        yield from network.check_superlink(options.superlink, transport)
    if options.envproxy is None:
        yield network.check_port("env proxy", DEFAULT_ADDRESS)
    else:
        yield network.check_envproxy(options.envproxy, options.arena, transport)
    if options.starcraft:
        yield from starcraft.check_starcraft(options.map, Rules.parse(options.rules), options.backend_options)


def _home(variable: str, name: str) -> Path | None:
    """Return the folder that a variable names, or a folder in the home folder; None if the user has not got one."""
    try:
        return user_path(os.environ.get(variable) or Path.home() / name).absolute()
    except RuntimeError:
        return None
