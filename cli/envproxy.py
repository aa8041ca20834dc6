"""`pps-qmix envproxy`: `python -m envproxy` with presets."""

from __future__ import annotations

import argparse

from envproxy import command
from pps_qmix.configuration import preset, preset_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=preset_names(), help="that of the run, for the number of battles")
    command.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Serve. Raises what `envproxy.command.run` raises."""
    if options.battles is None and options.preset:
        options.battles = preset(options.preset).get("battles")
    return command.run(options)
