"""Runs side by side: prints what their last evaluations came to and draws their learning curves.

python -m benchmarks.curves PNG LABEL=RUN[,RUN...] ...

The runs of a label are its seeds: a thin line each, their mean a thick one. Evaluations are at about the same steps in
runs of the same settings; the mean is taken at those of the first run.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")
from matplotlib.figure import Figure

from server.run_directory import read_rows

LAST = 5
"""Evaluations at a run's end that are averaged."""

Curve = NDArray[np.float64]


def read_curve(run: Path) -> Curve:
    """Steps and test win rates [2, evaluations] of a run."""
    rows = [row for row in read_rows(run) if row["kind"] == "evaluation"]
    return np.array([[row["steps"] for row in rows], [row["win-rate"] for row in rows]], dtype=float)


def table(groups: Mapping[str, Sequence[Curve]]) -> str:
    """A Markdown table: for each label every run's mean of its last evaluations, the mean of these, the best one."""
    lines = [f"| runs | seeds | mean of the last {LAST}, each seed | mean | best |", "|---|---|---|---|---|"]
    for label, curves in groups.items():
        ends = [curve[1, -LAST:].mean() for curve in curves]
        best = max(curve[1].max() for curve in curves)
        each = ", ".join(f"{end:.2f}" for end in ends)
        lines.append(f"| {label} | {len(curves)} | {each} | {np.mean(ends):.2f} | {best:.2f} |")
    return "\n".join(lines)


def draw(groups: Mapping[str, Sequence[Curve]], path: Path) -> None:
    """Write the curves to `path` as PNG."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for color, (label, curves) in zip(matplotlib.color_sequences["tab10"], groups.items(), strict=False):
        for curve in curves:
            axes.plot(*curve, color=color, alpha=0.3, linewidth=0.8)
        steps = curves[0][0]
        mean = np.mean([np.interp(steps, *curve) for curve in curves], axis=0)
        axes.plot(steps, mean, color=color, linewidth=2, label=f"{label}, {len(curves)} seed{'s' * (len(curves) > 1)}")
    axes.set(xlabel="environment steps", ylabel="test win rate", ylim=(-0.02, 1.02))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=100)


def main(arguments: Sequence[str]) -> None:
    """Read the runs, print the table, write the picture."""
    picture, *named = arguments
    split = [argument.split("=", 1) for argument in named]
    groups = {label: [read_curve(Path(run)) for run in runs.split(",")] for label, runs in split}
    print(table(groups))
    draw(groups, Path(picture))


if __name__ == "__main__":
    main(sys.argv[1:])
