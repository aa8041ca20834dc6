"""Draws the test win rate on a map over environment steps: a line for each method, a band over its seeds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure

from cli.experiment.cells import Cell
from cli.experiment.statistics import CONFIDENCE

_COLOURS = matplotlib.colormaps["tab10"]
_DASHES = ("-", "--", "-.", ":")  # bands lie on one another: lines differ in more than colour
_LEGEND_COLUMNS = 3


def figure_name(map_: str) -> str:
    """Return the name of a map's figure; beside it is one with .pdf."""
    return f"win-rate-{map_}.png"


def draw_map(folder: Path, found: Sequence[Cell]) -> None:
    """Write the figure of one map's cells as PNG and PDF, each whole or not at all; none without a finished run."""
    if not any(cell.runs for cell in found):
        return
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for number, cell in enumerate(found):  # a method has its colour also where others have no runs
        if not cell.runs:
            continue
        steps, rate = cell.curve()
        seeds = f"{len(cell.runs)} seed{'s' if len(cell.runs) > 1 else ''}"
        colour = _COLOURS(number % _COLOURS.N)
        axes.plot(
            steps,
            rate.iqm,
            color=colour,
            linestyle=_DASHES[number % len(_DASHES)],
            marker="." if len(steps) < 3 else None,
            label=f"{cell.method.name}, {seeds}",
        )
        axes.fill_between(steps, rate.low, rate.high, color=colour, alpha=0.15, linewidth=0)
    axes.set_title(found[0].map)
    axes.set_ylabel(f"test win rate (IQM, {CONFIDENCE:.0%} interval)")
    axes.set_xlabel("environment steps")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=min(_LEGEND_COLUMNS, len(axes.lines)), frameon=False)
    path = folder / figure_name(found[0].map)
    for each in (path, path.with_suffix(".pdf")):
        temporary = each.with_suffix(f".tmp{each.suffix}")
        figure.savefig(temporary, dpi=150)
        os.replace(temporary, each)
