"""Runs side by side: the table and the picture."""

import json
from pathlib import Path

import pytest

from benchmarks.curves import main


def run_directory(path: Path, win_rates: list[float]) -> Path:
    rows = [{"kind": "evaluation", "round": 1, "steps": 5000 * i, "win-rate": rate} for i, rate in enumerate(win_rates)]
    path.mkdir()
    (path / "metrics.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, {"kind": "round", "round": 1, "steps": 0}])
    )
    return path


def test_the_last_evaluations_of_every_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run_directory(tmp_path / "first", [0.9, 0.1, 0.2, 0.3, 0.4, 0.5])
    second = run_directory(tmp_path / "second", [0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])  # runs may differ in length
    main([str(tmp_path / "curves.png"), f"some={first},{second}", f"one={second}"])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| some | 2 | 0.30, 0.50 | 0.40 | 0.90 |",
        "| one | 1 | 0.50 | 0.50 | 0.50 |",
    ]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
