"""Where settings come from: the defaults, presets, and what a user names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from operations.defaults import Value, app_directory, default_config
from operations.suggestions import did_you_mean
from server.run_directory import read_run

__all__ = [
    "PresetError",
    "Value",
    "app_directory",
    "default_config",
    "kept_settings",
    "parse_value",
    "preset",
    "preset_names",
    "with_implied",
]

_PRESETS = Path(__file__).parent / "presets"


class PresetError(ValueError):
    """There is no such preset; the message lists those that exist."""


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
        names = preset_names()
        raise PresetError(
            f"preset: unknown preset {name!r}; expected one of {', '.join(names)}{did_you_mean(name, names)}"
        )
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


def with_implied(given: Mapping[str, Value]) -> dict[str, Value]:
    """Return what is given, and after it what goes with it unless that is given, too: `centralised` needs both."""
    implied: dict[str, Value] = {"strategy": "none", "mixing": "joint"} if given.get("centralised") is True else {}
    return {**given, **{name: value for name, value in implied.items() if name not in given}}
