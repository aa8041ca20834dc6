"""The example script runs as its reader runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_and_plot.py"


def test_the_script_trains_evaluates_and_plots(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(EXAMPLE), "600"], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=170
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert any(line.startswith("step ") and "win rate" in line for line in lines)
    assert any(" of 100 battles won after 600 steps; the run is in " in line for line in lines)
    assert (tmp_path / "win-rate.png").read_bytes().startswith(b"\x89PNG")
