"""`pps-qmix doctor`: a line for each check; ends with 1 if one has failed."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from rich.text import Text

from cli.plain_console import PlainConsole
from envproxy.backend import create_backend
from envproxy.rules import Rules
from operations.addresses import check_address
from operations.paths import shown, user_path
from pps_qmix.configuration import default_config
from pps_qmix.doctor import starcraft
from pps_qmix.doctor.examination import Machine, examine
from pps_qmix.doctor.finding import Level

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
    for finding in examine(_machine(options)):
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


def _machine(options: argparse.Namespace) -> Machine:
    return Machine(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Machine)})
