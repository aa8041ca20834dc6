"""The run that a caller asks for: its settings, checked, and its directory, claimed for one process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from client.device import is_run_name
from envproxy.backend import Backend, check_map_named, create_backend
from envproxy.rules import Rules
from operations.paths import user_path
from pps_qmix.configuration import Value, default_config, kept_settings, with_implied
from pps_qmix.playable import check_playable
from server.run_directory import (
    already_there,
    being_played,
    check_free,
    check_simulator,
    check_unchanged,
    claim_name,
    has_run,
    run_name,
)
from server.settings import Settings, SettingsError, check_settings


@dataclass(frozen=True)
class RequestedRun:
    """A run to play. One that was not named gets its name when it is `claimed`."""

    settings: Settings
    given: dict[str, Value]  # the settings that were named, with the run's name and folder
    path: Path  # the run's directory
    n_agents: int


def new_run(named: Mapping[str, Value]) -> RequestedRun:
    """Return a new run with the settings `named`, and the defaults for all others.

    Raises SettingsError (and other ValueErrors) for wrong settings, RunDirectoryError if its directory holds a run.
    """
    defaults = default_config()
    given = normalised(named)
    if given.get("runs") == "":
        raise SettingsError("runs: expected a folder, found nothing")
    given["runs"] = str(user_path(str(given.get("runs", defaults["runs"]))).absolute())
    if given.get("attest-key"):
        given["attest-key"] = str(user_path(str(given["attest-key"])).absolute())
    settings = check_settings({**defaults, **given})
    if "map" not in given:
        check_map_named(settings.backend)
    path = Path(str(given["runs"])) / (settings.run or run_name(settings))
    if settings.run and has_run(path):  # before anything is started: another process may play it
        raise already_there(path)
    return _checked(settings, given, path)


def resumed_run(path: Path, named: Mapping[str, Value]) -> RequestedRun:
    """Return the run of a directory, to be played from its newest checkpoint, with the changes `named`.

    Raises SettingsError (and other ValueErrors) for wrong settings, RunDirectoryError if `path` holds no run,
    InUseError if another process plays it.
    """
    given = normalised(named)
    kept = kept_settings(path)
    if not is_run_name(path.name):
        raise SettingsError(
            f"resume: a run has the name of its folder: expected up to 100 letters, digits and ._-, found "
            f"{path.name!r}; rename {path}"
        )
    check_unchanged(kept, given)
    check_simulator(path)
    given.pop("strategy-settings", None)  # as they were, and perhaps not all of them
    given |= {"runs": str(path.parent), "run": path.name, "resume": True}
    return _checked(check_settings({**kept, **given}), given, path)


def normalised(named: Mapping[str, Value]) -> dict[str, Value]:
    """Return settings with those that they imply, and rules in one form, in which they can be compared."""
    given = dict(named)
    if "rules" in given:
        given["rules"] = Rules.parse(str(given["rules"])).text()
    return with_implied(given)


@contextmanager
def claimed(requested: RequestedRun) -> Iterator[RequestedRun]:
    """Make the run's directory, for this process alone while the block lasts; yield the run that is played.

    A run without a name gets one that no other has. Raises InUseError if another process plays the run,
    RunDirectoryError if the directory cannot be made.
    """
    if not requested.settings.run:
        name = claim_name(requested.settings)
        settings = requested.settings.model_copy(update={"run": name})
        path = requested.path.with_name(name)
        requested = RequestedRun(settings, {**requested.given, "run": name}, path, requested.n_agents)
    with being_played(requested.path):
        yield requested


def backend_of(settings: Settings, battles: int) -> Backend:
    """Return `battles` battles as a run's settings have them, none started. Raises ValueError for wrong settings."""
    rules = Rules.parse(settings.rules)
    return create_backend(settings.backend, settings.map, battles, rules, settings.backend_options)


def _checked(settings: Settings, given: dict[str, Value], path: Path) -> RequestedRun:
    if settings.run:
        check_free(path)
    spec = backend_of(settings, 1).spec  # starts no battle
    check_playable(settings, spec)
    return RequestedRun(settings, given, path, spec.n_agents)
