"""The settings, their defaults and what they mean: in the pyproject.toml of the Flower app."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

Value = bool | float | int | str


class Description(NamedTuple):
    """What a user is told of a setting."""

    group: str  # common, learning, sharing, robustness or runtime
    default: str  # as it is written in TOML
    meaning: str


def app_directory() -> Path:
    """Return the folder whose pyproject.toml is the Flower app: the checkout, or this package's copy in a wheel."""
    checkout = Path(__file__).parent.parent
    return checkout if (checkout / "pyproject.toml").exists() else Path(__file__).parent


def default_config() -> dict[str, Value]:
    """Return every setting with its default: `[tool.flwr.app.config]`."""
    config: dict[str, Value] = _tool()["flwr"]["app"]["config"]
    return config


def descriptions() -> dict[str, Description]:
    """Return every setting with what a user is told of it, in groups: the tables `[tool.pps-qmix.settings.*]`."""
    tool = _tool()
    defaults = tool["flwr"]["app"]["config"]
    return {
        name: Description(group, json.dumps(defaults[name]), meaning)
        for group, meanings in tool["pps-qmix"]["settings"].items()
        for name, meaning in meanings.items()
    }


def _tool() -> dict[str, Any]:
    document = tomllib.loads((app_directory() / "pyproject.toml").read_text(encoding="utf-8"))
    tool: dict[str, Any] = document["tool"]
    return tool
