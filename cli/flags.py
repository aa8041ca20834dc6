"""The flags of a run: every setting is one, and `--preset` and `--resume` bring several."""

from __future__ import annotations

import argparse
from pathlib import Path

from cli import strategy_flags
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

_NO_FLAG = {"resume"}  # `--resume RUN` names the run instead
_ALIASES = {"base": ["--algorithm"]}  # the usual name in centralised training
_HELP = {"centralised": "one network for all agents; --base names the algorithm, qmix or vdn "}
_EMPTY_MEANS = {
    "run": "made from settings and time",
    "rules": "SMAC's",
    "backend-options": "none",
    "strategy-settings": "the strategy's",
    "server-optimizer": "none",
    "attest-key": "none",
}  # what an empty default means


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting is a flag; its default is in [tool.flwr.app.config]."""
    parser.add_argument("--preset", choices=preset_names(), help="settings that go together; a flag overrides them")
    parser.add_argument("--resume", metavar="RUN", help="resume a run: its folder, or its name in --runs")
    group = parser.add_argument_group("settings")
    for name, default in default_config().items():
        if name not in _NO_FLAG:
            shown = f"{_HELP.get(name, '')}(default: {_EMPTY_MEANS[name] if default == '' else repr(default)})"
            is_bool = isinstance(default, bool)
            group.add_argument(
                *(f"--{name}", *_ALIASES.get(name, [])),
                dest=f"setting:{name}",
                metavar="VALUE",
                help=shown.replace("%", "%%"),
                nargs="?" if is_bool else None,
                const="true" if is_bool else None,
            )


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
