"""Where a run's time goes, in both runtimes: trains the same run twice, prints a round's parts and their ratio.

python -m benchmarks.round_time [any flag of `pps-qmix train`]

With `--total-steps 200000` it also sees when the run first had a test win rate of 0.9.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pps_qmix.experiment.results import evaluations, first_at
from server.report.summary import mean_seconds
from server.run_directory import read_rows

WIN_RATES = (0.5, 0.8, 0.9)


def _first_wins(rows: Sequence[Mapping[str, Any]]) -> str:
    """When each win rate was first there, in environment steps and in seconds of the run without its start."""
    found = {win_rate: first_at(evaluations(rows), win_rate) for win_rate in WIN_RATES}
    return "".join(f"; {rate} after {at.steps:,} steps, {at.seconds:.0f} s" for rate, at in found.items() if at)


def main(arguments: list[str]) -> None:
    """Train over Flower and in-process with the same settings; the first round, which fills the buffer, is left out."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return
    with tempfile.TemporaryDirectory() as runs:
        seconds = {}
        for runtime in ("in-process", "flower"):
            command = [sys.executable, "-m", "cli.main", "train", "--preset", "quick", "--total-steps", "60000"]
            chosen = ["--runtime", runtime, "--runs", runs, "--run", runtime, *arguments]
            began = time.monotonic()
            subprocess.run([*command, *chosen], check=True, stdout=subprocess.DEVNULL)
            took = time.monotonic() - began
            every_row = read_rows(Path(runs) / runtime)
            print(f"{runtime}: {took:.0f} s from command to prompt{_first_wins(every_row)}")
            rows = [row for row in every_row if row["kind"] == "round"][1:]
            seconds[runtime] = mean_seconds(rows)
            played = sum(row["played"] for row in rows) / sum(row["seconds"]["round"] for row in rows)
            print(f"{runtime}: {len(rows)} rounds, {played:.0f} environment steps/s")
    here, flower = seconds["in-process"], seconds["flower"]
    print(f"{'seconds a round':<16}{'in-process':>12}{'flower':>12}{'ratio':>8}")
    for part in here:
        ratio = f"{flower[part] / here[part]:.2f}" if here[part] >= 0.01 else "-"
        print(f"{part:<16}{here[part]:>12.2f}{flower[part]:>12.2f}{ratio:>8}")


if __name__ == "__main__":
    main(sys.argv[1:])
