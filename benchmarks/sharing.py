"""What sharing did in runs: how far weights of the aggregate were from uniform, and agents from one another.

    python -m benchmarks.sharing RUN [RUN ...]

Prints a Markdown table with a line for each run: means over its rounds, of the figures of docs/metrics.md, and the
largest share that any agent ever had in an aggregate, times the number of agents (1: uniform).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from server.run_directory import read_rows

FIGURES = ("weight-ratio", "agents-effective", "divergence", "update-cosine")


def line(run: Path) -> str:
    """Return a run's line of the table; a figure that no round has is a dash."""
    rounds: list[Mapping[str, Any]] = [row["shared"] for row in read_rows(run) if row["kind"] == "round"]
    cells = [run.name, str(len(rounds))]
    for figure in FIGURES:
        found = [shared[figure] for shared in rounds if figure in shared]
        cells.append(f"{fmean(found):.3f}" if found else "-")
    shares = [[value for name, value in shared.items() if name.startswith("weight/")] for shared in rounds]
    largest = [max(weights) * len(weights) for weights in shares if weights]
    cells.append(f"{max(largest):.2f}" if largest else "-")
    return "| " + " | ".join(cells) + " |"


def main(runs: Sequence[str]) -> None:
    """Print the table."""
    print("| run | rounds | " + " | ".join(FIGURES) + " | largest weight × N |")
    print("|---" * (len(FIGURES) + 3) + "|")
    for run in runs:
        print(line(Path(run)))


if __name__ == "__main__":
    main(sys.argv[1:])
