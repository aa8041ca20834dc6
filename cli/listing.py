"""`pps-qmix strategies` and `pps-qmix maps`: what there is to choose from."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from cli.plain_console import PlainConsole
from cli.strategy_flags import described
from envproxy.backend import BackendFailedError, BrokenBackendError, MapSpec, backend_names, map_specs
from envproxy.maps.descriptions import difficulty, units
from operations import logs
from strategies.registry import UnusableStrategyError, describe, own_settings, strategy_names


def show_strategies(_: argparse.Namespace) -> int:
    """List the strategies and their own settings. One that cannot be used is listed with the reason."""
    table = Table("strategy", "what it does", box=None)
    for name in strategy_names():
        try:
            table.add_row(name, describe(name))
            for setting in own_settings(name):
                table.add_row(f"  --{setting.name}", described(setting))
        except UnusableStrategyError as error:
            table.add_row(name, str(error))
    PlainConsole().print(table)
    return 0


def add_map_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backend", metavar="NAME", help="list the maps of this backend only (default: of all)")


def show_maps(options: argparse.Namespace) -> int:
    """List the maps of one backend or of all, with their units, difficulty and sizes.

    A backend that cannot be used is told in one line. Raises UnknownNameError, BrokenBackendError or BackendFailedError
    if that is the one that was asked for.
    """
    backends: dict[MapSpec, list[str]] = {}
    broken = []
    for backend in [options.backend] if options.backend is not None else backend_names():
        try:
            specs = map_specs(backend)
        except (BackendFailedError, BrokenBackendError) as error:
            if options.backend is not None:
                raise
            broken.append(str(error))
            continue
        for spec in specs:
            backends.setdefault(spec, []).append(backend)
    console = PlainConsole()
    for line in _map_lines(backends):
        console.say(line)
    for line in broken:
        print(logs.last_word("pps-qmix", line), file=sys.stderr)
    return 0


def _map_lines(backends: Mapping[MapSpec, Sequence[str]]) -> Iterator[str]:
    """Two lines for each map: its sizes, and below them its units. `backends` are those that play it."""
    longest = max((len(spec.name) for spec in backends), default=0)
    row = f"{{:{longest}}}  {{:10}}  {{:>6}}  {{:>7}}  {{:>3}}  {{:>5}}  {{:>5}}  {{}}".format
    yield row("map", "difficulty", "agents", "actions", "obs", "state", "limit", "backends")
    for spec, names in backends.items():
        sizes = (spec.n_agents, spec.n_actions, spec.obs_size, spec.state_size, spec.episode_limit)
        yield row(spec.name, difficulty(spec.name) or "-", *sizes, ", ".join(names))
        if sides := units(spec.name):
            yield f"    {sides}"
    yield "difficulty: as SMAC's authors group their maps; - where they do not"
    yield "obs, state: numbers in an agent's observation, in the global state"
    yield "limit: steps of a battle"
