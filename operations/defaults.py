"""The settings and their defaults: `[tool.flwr.app.config]` of the Flower app's pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

Value = bool | float | int | str


def app_directory() -> Path:
    """Return the folder whose pyproject.toml is the Flower app: the checkout, or this package's copy in a wheel."""
    checkout = Path(__file__).parent.parent
    return checkout if (checkout / "pyproject.toml").exists() else Path(__file__).parent


def default_config() -> dict[str, Value]:
    """Return every setting with its default."""
    document = tomllib.loads((app_directory() / "pyproject.toml").read_text(encoding="utf-8"))
    config: dict[str, Value] = document["tool"]["flwr"]["app"]["config"]
    return config
