"""The colours that all pages share, and colours as CSS variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PAGE_DARK: Final = {
    "page": "#0d1117",
    "card": "#161b22",
    "line": "#2d333b",
    "text": "#e6edf3",
    "faint": "#8b949e",
    "accent": "#58a6ff",
    "good": "#4cc870",
    "fair": "#e8b93c",
    "poor": "#f0554a",
}

PAGE_LIGHT: Final = {
    "page": "#f3f5f8",
    "card": "#ffffff",
    "line": "#d5dbe3",
    "text": "#1c2430",
    "faint": "#5a6675",
    "accent": "#0b62d6",
    "good": "#1f9d49",
    "fair": "#c58b00",
    "poor": "#cf2a27",
}


def css_variables(light: Mapping[str, str], dark: Mapping[str, str]) -> str:
    """Return a style sheet with a variable for each colour; `dark` holds where the reader prefers dark pages."""
    return f"{_block(light)}@media(prefers-color-scheme:dark){{{_block(dark)}}}"


def _block(colours: Mapping[str, str]) -> str:
    return ":root{" + "".join(f"--{name}:{value};" for name, value in colours.items()) + "}"
