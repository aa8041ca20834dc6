"""Where a run's time goes, in both runtimes: trains the same run twice, prints a round's parts and their ratios.

python -m benchmarks.round_time [--overlap K] [any flag of `pps-qmix train`]

With `--overlap` it trains a third time, over Flower with that overlap. With `--total-steps 200000` it also sees when
the run first had a test win rate of 0.9.
"""

from __future__ import annotations

import argparse
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
    """Train with the same settings in each way; the first round, which fills the buffer, is left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--overlap", type=int, metavar="K", help="training steps; also over Flower with this overlap")
    told, flags = parser.parse_known_args(arguments)
    ways = {"in-process": ["--runtime", "in-process"], "flower": ["--runtime", "flower"]}
    if told.overlap:
        ways["overlap"] = ["--runtime", "flower", "--overlap", str(told.overlap)]
    with tempfile.TemporaryDirectory() as runs:
        seconds = {way: _train(Path(runs), way, [*chosen, *flags]) for way, chosen in ways.items()}
    print(f"{'seconds a round':<16}" + "".join(f"{way:>12}" for way in seconds) + f"{'ratios':>8}")
    here, *others = seconds.values()
    for part in here:
        ratios = (f"{other[part] / here[part]:>8.2f}" if here[part] >= 0.01 else f"{'-':>8}" for other in others)
        print(f"{part:<16}" + "".join(f"{each[part]:>12.2f}" for each in seconds.values()) + "".join(ratios))
    shares = (f"{each['flower'] / each['round']:>11.1%} " for each in seconds.values())
    print(f"{'flower / round':<16}" + "".join(shares))


def _train(runs: Path, run: str, flags: list[str]) -> dict[str, float]:
    """Train, print how long that took, and return the mean seconds of a round by part."""
    command = [sys.executable, "-m", "cli.main", "train", "--preset", "quick", "--total-steps", "60000"]
    began = time.monotonic()
    subprocess.run([*command, "--runs", str(runs), "--run", run, *flags], check=True, stdout=subprocess.DEVNULL)
    took = time.monotonic() - began
    rows = read_rows(runs / run)
    print(f"{run}: {took:.0f} s from command to prompt{_first_wins(rows)}")
    rounds = [row for row in rows if row["kind"] == "round"][1:]
    played = sum(row["played"] for row in rounds) / sum(row["seconds"]["round"] for row in rounds)
    print(f"{run}: {len(rounds)} rounds, {played:.0f} environment steps/s", flush=True)
    return mean_seconds(rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
