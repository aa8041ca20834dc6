"""Where a round's time goes, in both runtimes: trains the same short run twice and prints the parts and their ratio.

python -m benchmarks.round_time [any flag of `pps-qmix train`]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from server.report import mean_seconds
from server.run_directory import read_rows


def main(arguments: list[str]) -> None:
    """Train over Flower and in-process with the same settings; the first round, which fills the buffer, is left out."""
    with tempfile.TemporaryDirectory() as runs:
        seconds = {}
        for runtime in ("in-process", "flower"):
            command = [sys.executable, "-m", "cli.main", "train", "--preset", "quick", "--total-steps", "60000"]
            chosen = ["--runtime", runtime, "--runs", runs, "--run", runtime, *arguments]
            subprocess.run([*command, *chosen], check=True, stdout=subprocess.DEVNULL)
            rows = [row for row in read_rows(Path(runs) / runtime) if row["kind"] == "round"][1:]
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
