"""Draws the test win rate on a map over environment steps: a line for each method, a band over its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure

from operations.files import replacing
from pps_qmix.experiment.cells import Cell
from pps_qmix.experiment.statistics import CONFIDENCE

_COLOURS = matplotlib.colormaps["tab10"]
_DASHES = ("-", "--", "-.", ":")  # bands lie on one another: lines differ in more than colour


def figure_name(map_: str) -> str:
    """Return the name of a map's figure; beside it is one with .pdf."""
    return f"win-rate-{map_}.png"


def draw_map(folder: Path, found: Sequence[Cell]) -> None:
    """Write the figure of one map's cells as PNG and PDF, each whole or not at all; none without a finished run."""
    if not any(cell.runs for cell in found):
        return
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for number, cell in enumerate(found):  # a method has its colour also where others have no runs
        if not cell.runs:
            continue
        steps, rate = cell.curve()
        colour = _COLOURS(number % _COLOURS.N)
        axes.plot(
            steps,
            rate.iqm,
            color=colour,
            linestyle=_DASHES[number % len(_DASHES)],
            marker="." if len(steps) < 3 else None,
            label=f"{cell.method.name}, {_seeds(len(cell.runs))}",
        )
        axes.fill_between(steps, rate.low, rate.high, color=colour, alpha=0.15, linewidth=0)
    axes.set_title(found[0].map)
    axes.set_ylabel(f"test win rate (IQM, {CONFIDENCE:.0%} interval)")
    axes.set_xlabel("environment steps")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.3)
    legend = figure.legend(loc="outside right upper", frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may have any signs
    path = folder / figure_name(found[0].map)
    for each in (path, path.with_suffix(".pdf")):
        with replacing(each) as file:
            figure.savefig(file, format=each.suffix.removeprefix("."), dpi=150)


def _seeds(count: int) -> str:
    return f"{count} seed{'s' if count > 1 else ''}"
