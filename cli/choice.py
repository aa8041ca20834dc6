"""The settings of a run as flags, and what a user chose with them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from cli.defaults import Value, default_config, kept_settings, merge, parse_value, preset, preset_names, with_implied
from envproxy.rules import Rules
from server.run_directory import already_there, check_unchanged, run_name
from server.settings import Settings, SettingsError, check_settings

_NO_FLAG = {"resume"}  # `--resume RUN` names the run instead
_SAID = {"centralised": "true: --base names the algorithm, qmix or vdn, of one network for all agents "}
_NOTHING_IS = {
    "run": "made from settings and time",
    "rules": "SMAC's",
    "attest-key": "none",
}  # what an empty default means


class Choice(NamedTuple):
    """A run as it was chosen: all its settings, those the user named, its directory."""

    settings: Settings
    given: dict[str, Value]
    path: Path


def add_setting_flags(parser: argparse.ArgumentParser) -> None:
    """Every setting is a flag; its default is in [tool.flwr.app.config]."""
    parser.add_argument("--preset", choices=preset_names(), help="settings that go together; a flag overrides them")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run: its folder, or its name in --runs")
    group = parser.add_argument_group("settings")
    for name, default in default_config().items():
        if name not in _NO_FLAG:
            shown = f"{_SAID.get(name, '')}(default: {_NOTHING_IS[name] if default == '' else repr(default)})"
            group.add_argument(f"--{name}", dest=f"setting:{name}", metavar="VALUE", help=shown.replace("%", "%%"))


def choose(options: argparse.Namespace) -> Choice:
    """Return what the flags say. Raises SettingsError (and other ValueErrors) for wrong ones, RunDirectoryError."""
    defaults = default_config()
    given = named(options, defaults)
    if options.resume:
        path = _run_path(options.resume, Path(str(given.get("runs", defaults["runs"]))))
        kept = kept_settings(path)
        check_unchanged(kept, given)
        given |= {"runs": str(path.parent), "run": path.name, "resume": True}
        return Choice(check_settings({**kept, **given}), given, path)
    given["runs"] = str(Path(str(given.get("runs", defaults["runs"]))).expanduser().absolute())
    if given.get("attest-key"):
        given["attest-key"] = str(Path(str(given["attest-key"])).expanduser().absolute())
    settings = check_settings(merge(defaults, given))
    given["run"] = settings.run or run_name(settings)
    settings = settings.model_copy(update={"run": given["run"]})
    path = Path(str(given["runs"])) / str(given["run"])
    if (path / "run.json").exists():  # before anything is started: the run may be going on
        raise already_there(path)
    return Choice(settings, given, path)


def named(options: argparse.Namespace, defaults: dict[str, Value]) -> dict[str, Value]:
    """Return what the user named: the preset's settings, and the flags over them. Raises SettingsError."""
    given = preset(options.preset) if options.preset else {}
    for key, text in vars(options).items():
        name = key.removeprefix("setting:")
        if name == key or text is None:
            continue
        try:
            given[name] = parse_value(text, defaults[name])
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
    if "rules" in given:  # in one form, so that a resumed run may name them in another
        given["rules"] = Rules.parse(str(given["rules"])).text()
    return with_implied(given)


def _run_path(resume: str, runs: Path) -> Path:
    found = Path(resume).expanduser()
    return (found if (found / "run.json").exists() else runs.expanduser() / resume).absolute()
