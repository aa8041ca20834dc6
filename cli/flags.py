"""The flags of a run: every setting is one, and `--preset` and `--resume` bring several."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli import strategy_flags
from cli.defaults import Value, default_config, kept_settings, parse_value, preset, preset_names, with_implied
from cli.playable import check_playable
from client.device import is_run_name
from envproxy.backend import Backend, create_backend
from envproxy.rules import Rules
from operations.paths import real_path, user_path
from server.run_directory import (
    already_there,
    being_played,
    check_free,
    check_unchanged,
    claim_name,
    has_run,
    run_name,
)
from server.settings import Settings, SettingsError, check_settings

_NO_FLAG = {"resume"}  # `--resume RUN` names the run instead
_ALIASES = {"base": ["--algorithm"]}  # what centralised training is usually asked for by
_SAID = {"centralised": "one network for all agents; --base names the algorithm, qmix or vdn "}
_NOTHING_IS = {
    "run": "made from settings and time",
    "rules": "SMAC's",
    "backend-options": "none",
    "strategy-settings": "the strategy's",
    "server-optimizer": "none",
    "attest-key": "none",
}  # what an empty default means


@dataclass(frozen=True)
class Chosen:
    """What a user wants to be played; a run that was not named gets its name when it is `claimed`."""

    settings: Settings
    given: dict[str, Value]  # the settings that were named, with the run's name and folder
    path: Path  # the run's directory
    n_agents: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting is a flag; its default is in [tool.flwr.app.config]."""
    parser.add_argument("--preset", choices=preset_names(), help="settings that go together; a flag overrides them")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run: its folder, or its name in --runs")
    group = parser.add_argument_group("settings")
    for name, default in default_config().items():
        if name not in _NO_FLAG:
            shown = f"{_SAID.get(name, '')}(default: {_NOTHING_IS[name] if default == '' else repr(default)})"
            is_bool = isinstance(default, bool)
            group.add_argument(
                *(f"--{name}", *_ALIASES.get(name, [])),
                dest=f"setting:{name}",
                metavar="VALUE",
                help=shown.replace("%", "%%"),
                nargs="?" if is_bool else None,
                const="true" if is_bool else None,
            )


def choose(options: argparse.Namespace) -> Chosen:
    """Return what the flags ask for.

    Raises SettingsError (and other ValueErrors) for wrong flags, RunDirectoryError if there is no run to go on with, or
    one in the place of a new one, InUseError if another process plays it.
    """
    defaults = default_config()
    given = named(options)
    if given.get("runs") == "":
        raise SettingsError("runs: expected a folder, found nothing")
    if options.resume is not None:
        path = _run_path(options.resume, Path(str(given.get("runs", defaults["runs"]))))
        _check_same_place(given, path)
        kept = kept_settings(path)
        if not is_run_name(path.name):
            raise SettingsError(
                f"resume: a run has the name of its folder: expected up to 100 letters, digits and ._-, found "
                f"{path.name!r}; rename {path}"
            )
        check_unchanged(kept, given)
        given.pop("strategy-settings", None)  # as they were, and perhaps not all of them
        given |= {"runs": str(path.parent), "run": path.name, "resume": True}
        settings = check_settings({**kept, **given})
    else:
        given["runs"] = str(user_path(str(given.get("runs", defaults["runs"]))).absolute())
        if given.get("attest-key"):
            given["attest-key"] = str(user_path(str(given["attest-key"])).absolute())
        settings = check_settings({**defaults, **given})
        path = Path(str(given["runs"])) / (settings.run or run_name(settings))
        if settings.run and has_run(path):  # before anything is started: the run may be going on
            raise already_there(path)
    if settings.run:
        check_free(path)
    spec = backend_of(settings, 1).spec  # nothing is started for it
    check_playable(settings, spec)
    return Chosen(settings, given, path, spec.n_agents)


@contextmanager
def claimed(chosen: Chosen) -> Iterator[Chosen]:
    """Make the run's directory, for this command alone while the block lasts; yield what is played.

    A run without a name gets one that no other has. Raises InUseError if another command plays the run,
    RunDirectoryError if the directory cannot be made.
    """
    if not chosen.settings.run:
        name = claim_name(chosen.settings)
        settings = chosen.settings.model_copy(update={"run": name})
        path = chosen.path.with_name(name)
        chosen = Chosen(settings, {**chosen.given, "run": name}, path, chosen.n_agents)
    with being_played(chosen.path):
        yield chosen


def backend_of(settings: Settings, battles: int) -> Backend:
    """Return `battles` battles as a run's settings have them, none started. Raises ValueError for wrong settings."""
    rules = Rules.parse(settings.rules)
    return create_backend(settings.backend, settings.map, battles, rules, settings.backend_options)


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
    if "rules" in given:  # in one form, so that a resumed run may name them in another
        given["rules"] = Rules.parse(str(given["rules"])).text()
    return with_implied(given)


def _check_same_place(given: dict[str, Value], path: Path) -> None:
    """Raise SettingsError if flags of a resumed run say that it is another one."""
    run, runs = str(given.get("run", "")), str(given.get("runs", ""))
    if run not in ("", path.name):
        raise SettingsError(f"run: --resume goes on with {path}; leave --run {run} away")
    if runs and real_path(user_path(runs)) != real_path(path.parent):
        raise SettingsError(f"runs: --resume goes on with {path}; leave --runs {runs} away")


def _run_path(resume: str, runs: Path) -> Path:
    if not resume:
        raise SettingsError("resume: expected the folder or the name of a run, found nothing")
    found = user_path(resume)
    return real_path(found if has_run(found) else user_path(runs) / resume)
