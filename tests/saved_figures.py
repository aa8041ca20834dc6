"""Figures that matplotlib saves, for tests that ask what is drawn in them."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure


def saved_figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return a list that gets every figure which is saved from now on; each is saved all the same."""
    figures: list[Figure] = []
    save = Figure.savefig

    def remember(figure: Figure, *arguments: Any, **named: Any) -> None:
        figures.append(figure)
        save(figure, *arguments, **named)

    monkeypatch.setattr(Figure, "savefig", remember)
    return figures
