"""Where settings come from: the defaults of `[tool.flwr.app.config]`, presets, and what a user names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from envproxy.backend import map_names
from server.run_directory import read_run
from server.settings import SettingsError

Value = bool | float | int | str

_PRESETS = Path(__file__).parent / "presets"


class PresetError(ValueError):
    """There is no such preset; the message lists those that exist."""


def app_directory() -> Path:
    """Return the folder whose pyproject.toml is the Flower app: the checkout, or this package's copy in a wheel."""
    checkout = Path(__file__).parent.parent
    return checkout if (checkout / "pyproject.toml").exists() else Path(__file__).parent


def default_config() -> dict[str, Value]:
    """Return every setting with its default."""
    document = tomllib.loads((app_directory() / "pyproject.toml").read_text(encoding="utf-8"))
    config: dict[str, Value] = document["tool"]["flwr"]["app"]["config"]
    return config


def kept_settings(run: Path) -> dict[str, Value]:
    """Return the settings of a run directory. One that is newer than the run has its default: what was done before.

    Raises RunDirectoryError if `run` is none.
    """
    return {**default_config(), **read_run(run)["settings"]}


def preset_names() -> list[str]:
    """Return the names of the presets, sorted."""
    return sorted(path.stem for path in _PRESETS.glob("*.toml"))


def preset(name: str) -> dict[str, Value]:
    """Return what a preset changes. Raises PresetError."""
    if name not in preset_names():
        raise PresetError(f"preset: there is no {name!r}; there is {', '.join(preset_names())}")
    return tomllib.loads((_PRESETS / f"{name}.toml").read_text(encoding="utf-8"))


def parse_value(text: str, default: Value) -> Value:
    """Return what a user wrote for a setting, as the type of its default. Raises ValueError."""
    if isinstance(default, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ValueError(f"expected true or false, found {text!r}")
    try:
        if isinstance(default, int):
            return int(text.replace("_", ""))
        if isinstance(default, float):
            return float(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise ValueError(f"expected {kind}, found {text!r}") from None
    return text


def check_map_named(backend: str) -> None:
    """Raise SettingsError if a backend lacks the default map: a user of that backend names a map."""
    names = map_names(backend)
    if default_config()["map"] not in names:
        raise SettingsError(f"map: the backend {backend!r} needs a map: --map NAME; it has {', '.join(names)}")


def with_implied(given: Mapping[str, Value]) -> dict[str, Value]:
    """Return what is given, and after it what goes with it unless that is given, too: `centralised` needs both."""
    implied: dict[str, Value] = {"strategy": "none", "mixing": "joint"} if given.get("centralised") is True else {}
    return {**given, **{name: value for name, value in implied.items() if name not in given}}
