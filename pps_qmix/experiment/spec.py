"""What an experiment is: a TOML file, read and checked whole before anything is started, and the runs it asks for."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envproxy.backend import UnknownNameError, create_backend, map_names
from envproxy.rules import Rules, RulesError
from operations.suggestions import did_you_mean
from pps_qmix.configuration import PresetError, Value, default_config, preset, with_implied
from pps_qmix.playable import check_in_process, check_playable
from server.settings import Settings, SettingsError, check_settings, problem_line
from strategies.registry import settings_text

# What tells methods apart. Everything else is tuned per map, so that no method is tuned better than another. A setting
# that makes another method belongs here, into `Method` and into `_Method`.
METHOD_SETTINGS = (
    *("strategy", "base", "mixing", "centralised", "strategy-settings", "server-optimizer", "overlap"),
    *("teams", "share-among"),
)
_ELSEWHERE = {  # settings that [settings] and [map-settings] must not hold, and where they come from
    "map": "maps",
    "seed": "seeds",
    **dict.fromkeys(METHOD_SETTINGS, "[[methods]]"),
    **dict.fromkeys(("run", "runs", "resume"), "the experiment itself"),
}

_SIDE_BY_SIDE: dict[str, Value] = {"threads": 1}  # there is a run for every core


class SpecError(ValueError):
    """The file describes no experiment. The message is one line for each problem."""


class Method(NamedTuple):
    """A column of the results' table: its name, then METHOD_SETTINGS in their order."""

    name: str
    strategy: str
    base: str
    mixing: str
    centralised: bool = False
    strategy_settings: str = ""
    server_optimizer: str = ""
    overlap: int = 0
    teams: int = 1
    share_among: str = "all"

    @property
    def settings(self) -> dict[str, Value]:
        """METHOD_SETTINGS with their values."""
        return {name: getattr(self, name.replace("-", "_")) for name in METHOD_SETTINGS}


@dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment: a method on a map with a seed."""

    map: str
    method: Method
    seed: int
    settings: Settings

    @property
    def name(self) -> str:
        return self.settings.run


@dataclass(frozen=True)
class Plan:
    """A file that is right. `runs` has the first seed of everything first: what is there early can be compared."""

    name: str
    maps: tuple[str, ...]
    methods: tuple[Method, ...]
    runs: tuple[PlannedRun, ...]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=lambda n: n.replace("_", "-"))


class _Method(_Table):
    name: Annotated[str, Field(pattern=r"^[^_\s]")]  # matplotlib's legend leaves out what begins with _
    strategy: str
    base: str
    mixing: str | None = None
    centralised: bool = False
    strategy_settings: str = ""
    server_optimizer: str = ""
    overlap: int = 0
    teams: int = 1
    share_among: str = "all"


class _Document(_Table):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1)]
    maps: Annotated[list[str], Field(min_length=1)]
    preset: str | None = None
    settings: dict[str, Any] = {}  # pydantic copies it; values are checked as settings
    map_settings: dict[str, dict[str, Any]] = {}
    methods: Annotated[list[_Method], Field(min_length=1)]


def parse_experiment(text: str) -> Plan:
    """Read the content of an experiment's file. Raises SpecError with a line for each problem."""
    try:
        document = _Document.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"invalid TOML: {error}") from None
    except ValidationError as error:
        raise SpecError("\n".join(_line(problem) for problem in error.errors())) from None
    problems = [*_repeated(document), *_misplaced(document)]
    try:
        common = preset(document.preset) if document.preset else {}
    except PresetError as error:
        raise SpecError("\n".join([str(error), *problems])) from None
    methods = [_method(each) for each in document.methods]
    checked: list[tuple[str, Method, Settings]] = []
    for map_ in document.maps:
        for number, method in enumerate(methods, 1):
            named = {**common, **document.settings, **document.map_settings.get(map_, {})}
            config = {**default_config(), **_SIDE_BY_SIDE, **named}
            try:
                checked.append((map_, method, _checked(config, map_, method, max(document.seeds))))
            except SettingsError as error:
                problems += [_placed(line, document, map_, number) for line in str(error).splitlines()]
    if problems:
        raise SpecError("\n".join(dict.fromkeys(problems)))
    runs = tuple(_run(*each, seed) for seed in document.seeds for each in checked)
    return Plan(document.name, tuple(document.maps), tuple(methods), runs)


def run_name(map_: str, method: Method, seed: int) -> str:
    """Return the name of a run, the same whenever the experiment is played."""
    shared = "centralised" if method.centralised else method.strategy
    parts = [map_, shared, *_distinguished(method), method.base, method.mixing, f"s{seed}"]
    return "-".join(parts)


def _distinguished(method: Method) -> Iterator[str]:
    """What tells methods of one strategy apart, as parts of a name."""
    if method.strategy_settings:
        readable = method.strategy_settings.replace("=", "-").replace(", ", "-")
        is_name = re.fullmatch(r"[A-Za-z0-9.-]{1,40}", readable) is not None
        yield readable if is_name else hashlib.sha256(method.strategy_settings.encode()).hexdigest()[:12]
    if method.server_optimizer:
        yield method.server_optimizer
    if method.overlap:
        yield f"overlap-{method.overlap}"
    if method.teams > 1:
        yield f"teams-{method.teams}"
    if method.share_among != "all":
        yield f"among-{method.share_among}"


def _method(given: _Method) -> Method:
    config = {**default_config(), **with_implied({"centralised": given.centralised})}
    mixing = str(config["mixing"]) if given.mixing is None else given.mixing
    own = given.strategy_settings
    with suppress(ValueError):  # told where the settings are checked
        own = settings_text(given.strategy, own)
    return Method(
        *(given.name, given.strategy, given.base, mixing, given.centralised, own),
        *(given.server_optimizer, given.overlap, given.teams, given.share_among),
    )


def _checked(config: Mapping[str, Value], map_: str, method: Method, seed: int) -> Settings:
    """Return the settings of a run. Raises SettingsError as `check_settings` does, also for map and rules."""
    run = {**method.settings, "map": map_, "seed": seed}
    settings = check_settings({**config, **run, "run": run_name(map_, method, seed)})
    try:
        maps, rules = map_names(settings.backend), Rules.parse(settings.rules).text()
    except UnknownNameError as error:
        raise SettingsError(f"backend: {error}") from None
    except RulesError as error:
        raise SettingsError(str(error)) from None
    if map_ not in maps:
        has = ", ".join(maps)
        raise SettingsError(
            f"map: the backend {settings.backend!r} has no {map_!r}; it has {has}{did_you_mean(map_, maps)}"
        )
    backend = create_backend(settings.backend, map_, 1, Rules.parse(rules))
    spec = backend.spec
    backend.close()
    check_playable(settings, spec)
    check_in_process(settings)
    return settings.model_copy(update={"rules": rules})


def _run(map_: str, method: Method, settings: Settings, seed: int) -> PlannedRun:
    changes = {"seed": seed, "run": run_name(map_, method, seed)}
    return PlannedRun(map_, method, seed, settings.model_copy(update=changes))


def _line(problem: Any) -> str:
    match problem["type"], problem["loc"]:
        case "extra_forbidden", ("methods", int(), str(key)):
            place = problem_line({**problem, "type": "missing"}).partition(":")[0]
            names = ", ".join(["name", *METHOD_SETTINGS])
            return f"{place}: a method has only {names}; {key!r} is tuned per map, in [settings] or [map-settings.MAP]"
        case "extra_forbidden", (str(key),):
            known = ", ".join(field.alias or name for name, field in _Document.model_fields.items())
            return f"{key}: an experiment has no such key; it has {known}"
    return problem_line(problem)


def _repeated(document: _Document) -> Iterator[str]:
    """Problems of what is there twice: its runs would have one name."""
    for key, values in (("seeds", document.seeds), ("maps", document.maps)):
        for value in _twice(values):
            yield f"{key}: {value!r} is given twice"
    for name in _twice([method.name for method in document.methods]):
        yield f"methods: two are called {name!r}"
    for method in _twice([_method(each)[1:] for each in document.methods]):
        yield f"methods: two are the same: {', '.join(map(str, method))} ({', '.join(METHOD_SETTINGS)})"


def _misplaced(document: _Document) -> Iterator[str]:
    tables = {"settings": document.settings}
    for map_, settings in document.map_settings.items():
        tables[f"map-settings.{map_}"] = settings
        if map_ not in document.maps:
            yield f"map-settings.{map_}: {map_!r} is not among maps"
    for table, settings in tables.items():
        for name in settings.keys() & _ELSEWHERE.keys():
            yield f"{table}.{name}: comes from {_ELSEWHERE[name]}, remove it here"


def _placed(line: str, document: _Document, map_: str, method: int) -> str:
    """A problem of a run's settings as one of the place in the file that the setting comes from."""
    name = line.partition(":")[0]
    if name in METHOD_SETTINGS:
        return f"methods #{method}.{line}"
    if name == "map":
        return f"maps: {line.partition(': ')[2]}"
    if name in document.map_settings.get(map_, {}):
        return f"map-settings.{map_}.{line}"
    return f"settings.{line}"


def _twice(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(value for number, value in enumerate(values) if value in values[:number]))
