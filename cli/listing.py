"""`pps-qmix strategies` and `pps-qmix maps`: what there is to choose from."""

from __future__ import annotations

import argparse

from rich.table import Table

from cli.plain_console import PlainConsole
from cli.strategy_flags import described
from envproxy.backend import backend_names, create_backend, map_names
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


def show_maps(_: argparse.Namespace) -> int:
    """List the maps of every backend with their sizes."""
    table = Table("map", "backend", "agents", "actions", "observation", "state", "limit", box=None)
    for backend in backend_names():
        for name in map_names(backend):
            created = create_backend(backend, name, 1)
            spec = created.spec
            created.close()
            sizes = (spec.n_agents, spec.n_actions, spec.obs_size, spec.state_size, spec.episode_limit)
            table.add_row(name, backend, *map(str, sizes))
    PlainConsole().print(table)
    return 0
