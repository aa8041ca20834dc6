"""Draws a run's learning curve: win rate and return against environment steps."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure

from operations.files import replacing


def draw_curve(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Write the curve of the evaluation rows of metrics.jsonl to `path` as PNG, whole or not at all.

    Several teams are shown by their mean and a band from the lowest to the highest. Raises OSError.
    """
    evaluations = [row for row in rows if row["kind"] == "evaluation"]
    steps = [row["steps"] for row in evaluations]
    figure = Figure(figsize=(8, 6), layout="constrained")
    win_rate, returns = figure.subplots(2, 1, sharex=True)
    win_rate.plot(steps, [row["win-rate"] for row in evaluations], marker=".", color="tab:blue")
    win_rate.set_ylabel("test win rate")
    win_rate.set_ylim(-0.02, 1.02)
    win_rate.set_title(title)
    returns.plot(steps, [row["return"] for row in evaluations], marker=".", color="tab:green")
    returns.set_ylabel("test return")
    returns.set_xlabel("environment steps")
    returns.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    if evaluations and "spread" in evaluations[-1]:
        for axes, name in ((win_rate, "win-rate"), (returns, "return")):
            lowest, highest = zip(*(row["spread"][name] for row in evaluations), strict=True)
            axes.fill_between(steps, lowest, highest, alpha=0.2, color=axes.lines[0].get_color(), lw=0)
    for axes in (win_rate, returns):
        axes.grid(alpha=0.3)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)
    del figure, win_rate, returns, axes
    gc.collect()  # a figure is made of cycles: until Python looks for old ones by itself, 50 MB of them come together
