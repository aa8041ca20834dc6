"""The flags of a run: every setting is one, and `--preset` and `--resume` bring several."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

from cli import strategy_flags
from operations.defaults import descriptions
from operations.paths import real_path, user_path
from pps_qmix.configuration import (
    Value,
    default_config,
    parse_value,
    preset,
    preset_names,
)
from pps_qmix.requested_run import RequestedRun, new_run, normalised, resumed_run
from server.run_directory import has_run
from server.settings import SettingsError

HELP_ALL = "--help-all"
_SHOWN_GROUP = "common"  # by --help
_NO_FLAG = {"resume"}  # `--resume RUN` names the run instead
_ALIASES = {"base": ["--algorithm"]}  # the usual name in centralised training


def add_arguments(parser: argparse.ArgumentParser, arguments: Sequence[str] = ()) -> None:
    """Add a flag for every setting, in the groups of [tool.pps-qmix.settings], with what each means.

    Help shows the common ones; all of them if the command line `arguments` ask for that.
    """
    parser.add_argument("--preset", choices=preset_names(), help="settings that go together; a flag overrides them")
    parser.add_argument("--resume", metavar="RUN", help="resume a run: its folder, or its name in --runs")
    parser.add_argument(HELP_ALL, action="help", help="show all settings, and exit")
    parser.usage = f"{parser.prog} [FLAG ...]"
    defaults = default_config()
    for title, members in itertools.groupby(descriptions().items(), lambda item: item[1].group):
        is_shown = title == _SHOWN_GROUP or HELP_ALL in arguments
        group = parser.add_argument_group(f"settings: {title}")
        for name, setting in members:
            if name in _NO_FLAG:
                continue
            is_bool = isinstance(defaults[name], bool)
            text = f"{setting.meaning} (default: {setting.default})".replace("%", "%%")
            group.add_argument(
                *(f"--{name}", *_ALIASES.get(name, [])),
                dest=f"setting:{name}",
                metavar=_metavar(defaults[name]),
                help=text if is_shown else argparse.SUPPRESS,
                nargs="?" if is_bool else None,
                const="true" if is_bool else None,
            )


def _metavar(default: Value) -> str:
    if isinstance(default, bool):
        return "true|false"
    return "N" if isinstance(default, int) else "X" if isinstance(default, float) else "TEXT"


def choose(options: argparse.Namespace) -> RequestedRun:
    """Return the run that the flags ask for.

    Raises SettingsError (and other ValueErrors) for wrong flags, RunDirectoryError if the run to resume does not
    exist or a new run would replace another, InUseError if another process plays it.
    """
    given = named(options)
    if options.resume is None:
        return new_run(given)
    if given.get("runs") == "":
        raise SettingsError("runs: expected a folder, found nothing")
    path = _run_path(options.resume, Path(str(given.get("runs", default_config()["runs"]))))
    _check_same_place(given, path)
    return resumed_run(path, given)


def named(options: argparse.Namespace) -> dict[str, Value]:
    """Return what the user named: the preset's settings, and the flags over them. Raises SettingsError."""
    defaults = default_config()
    given = preset(options.preset) if options.preset else {}
    for key, text in vars(options).items():
        name = key.removeprefix("setting:")
        if name == key or text is None:
            continue
        try:
            given[name] = parse_value(text, defaults[name])
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
    if own := strategy_flags.named(options, str(given.get("strategy-settings", ""))):
        given["strategy-settings"] = own
    return normalised(given)


def _check_same_place(given: dict[str, Value], path: Path) -> None:
    """Raise SettingsError if flags of a resumed run say that it is another one."""
    run, runs = str(given.get("run", "")), str(given.get("runs", ""))
    if run not in ("", path.name):
        raise SettingsError(f"run: --resume names the run {path}; omit --run {run}")
    if runs and real_path(user_path(runs)) != real_path(path.parent):
        raise SettingsError(f"runs: --resume names the run {path}; omit --runs {runs}")


def _run_path(resume: str, runs: Path) -> Path:
    if not resume:
        raise SettingsError("resume: expected the folder or the name of a run, found nothing")
    found = user_path(resume)
    return real_path(found if has_run(found) else user_path(runs) / resume)
