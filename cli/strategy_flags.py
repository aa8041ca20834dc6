"""The flags that the chosen strategy adds: one for each setting that it declares itself."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from typing import NoReturn

from operations.paths import user_path
from pps_qmix.configuration import default_config
from server.run_directory import RunDirectoryError, has_run, read_run
from server.settings import SettingsError
from strategies.own_settings import Setting, joined, parse_pairs, written
from strategies.registry import UnusableStrategyError, own_settings

_DEST = "strategy-setting:"


def add_arguments(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """Add a flag for each setting of the strategy that the command line `arguments` choose.

    One that is a flag already, or a strategy that cannot be used, adds none: `--strategy-settings` takes every setting,
    and what is wrong with a strategy is told when the settings are checked.
    """
    name = _chosen(arguments)
    try:
        declared = own_settings(name)
    except UnusableStrategyError:
        return
    if not declared:
        return
    group = parser.add_argument_group(f"settings of the strategy {name}")
    for setting in declared:
        is_bool = isinstance(setting.default, bool)
        with contextlib.suppress(argparse.ArgumentError):  # the run has a flag of this name
            group.add_argument(
                f"--{setting.name}",
                dest=_DEST + setting.name,
                metavar="VALUE",
                help=described(setting).replace("%", "%%"),
                nargs="?" if is_bool else None,
                const="true" if is_bool else None,
            )


def named(options: argparse.Namespace, text: str) -> str:
    """Return `strategy-settings`: the text that was given, and the flags over it. Raises SettingsError."""
    flags = {key.removeprefix(_DEST): str(v) for key, v in vars(options).items() if key.startswith(_DEST) and v}
    try:
        return joined({**parse_pairs(text), **flags})
    except ValueError as error:
        raise SettingsError(f"strategy-settings: {error}") from None


def described(setting: Setting) -> str:
    """Return what a setting does, what it may be and its default, in one line."""
    return f"{setting.help}; {setting.expected} (default: {written(setting.default)})"


class _Quiet(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _chosen(arguments: Sequence[str]) -> str:
    """Return the strategy that a command line names, that of the run it resumes, or the default."""
    defaults = default_config()
    parser = _Quiet(add_help=False, allow_abbrev=False)
    for flag, default in (("--strategy", defaults["strategy"]), ("--runs", defaults["runs"]), ("--resume", None)):
        parser.add_argument(flag, default=default)
    try:
        found, _ = parser.parse_known_args(arguments)
    except ValueError:  # told by the parser of the command
        return str(defaults["strategy"])
    if found.resume:
        path = user_path(found.resume)
        with contextlib.suppress(RunDirectoryError):
            kept = read_run(path if has_run(path) else user_path(found.runs) / found.resume)["settings"]
            return str(kept.get("strategy", found.strategy))
    return str(found.strategy)
