"""The settings, their defaults and what they mean: `[tool.flwr.app.config]` of the Flower app's pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

Value = bool | float | int | str

_SECTION = re.compile(r"^\[tool\.flwr\.app\.config\]\n(.*?)(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
_GROUP = re.compile(r"^# (\w+)$")
_SETTING = re.compile(r"^(?P<name>[\w-]+) = (?P<default>\"[^\"]*\"|[^\s#]+)\s+# (?P<meaning>.*)$")


class Description(NamedTuple):
    """What a user is told of a setting."""

    group: str  # the comment line above it: common, learning, sharing, robustness or runtime
    default: str  # as it is written there
    meaning: str  # the comment beside it


def app_directory() -> Path:
    """Return the folder whose pyproject.toml is the Flower app: the checkout, or this package's copy in a wheel."""
    checkout = Path(__file__).parent.parent
    return checkout if (checkout / "pyproject.toml").exists() else Path(__file__).parent


def default_config() -> dict[str, Value]:
    """Return every setting with its default."""
    config: dict[str, Value] = tomllib.loads(_pyproject())["tool"]["flwr"]["app"]["config"]
    return config


def descriptions() -> dict[str, Description]:
    """Return every setting with what a user is told of it, in groups."""
    section = _SECTION.search(_pyproject())
    assert section is not None
    found: dict[str, Description] = {}
    group = ""
    for line in section[1].splitlines():
        if heading := _GROUP.match(line):
            group = heading[1]
        elif setting := _SETTING.match(line):
            found[setting["name"]] = Description(group, setting["default"], setting["meaning"])
    return found


def _pyproject() -> str:
    return (app_directory() / "pyproject.toml").read_text(encoding="utf-8")
