"""`pps-qmix experiment` as its user sees it: a killed run, the same command again, an interrupt, a killed command."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from server.checkpoints import newest_checkpoint_steps
from tests.cli.experiment.small import tiny
from tests.system.conftest import processes, rounds, rows
from tests.waiting import WAIT_LIMIT, wait_for

Experiment = Callable[..., "subprocess.Popen[str]"]
FOREVER = 10_000_000  # steps: longer than any test

RUNS = ["3m-a-pps-vdn-solo-s0", "3m-a-pps-vdn-solo-s1"]


@pytest.fixture
def experiment(tmp_path: Path) -> Iterator[Experiment]:
    """Start the tiny experiment; ended, with all it started, when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def start(steps: int = 1500) -> subprocess.Popen[str]:
        (tmp_path / "tiny.toml").write_text(tiny((0, 1), steps, evaluate_every=500))
        words = ["experiment", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "out"), "--jobs", "2"]
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(WAIT_LIMIT)
    for left in playing(tmp_path):
        left.kill()


def results(out: Path) -> list[dict[str, str]]:
    """Return the rows of an experiment's table of evaluations."""
    with open(out / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def evaluations(run: Path) -> list[int]:
    """Return after how many steps a run was evaluated."""
    return [row["steps"] for row in rows(run) if row["kind"] == "evaluation"]


def playing(tmp_path: Path, run: str = "") -> list[Any]:
    """The processes that play runs of the experiment."""
    return processes("train", str(tmp_path / "out" / "runs"), run)


def test_a_killed_run_stops_no_other_and_resumes_with_the_same_command(experiment: Experiment, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, second = (out / "runs" / run for run in RUNS)

    process = experiment()
    wait_for(lambda: newest_checkpoint_steps(second), "a round of the second run")
    (played,) = playing(tmp_path, RUNS[1])
    played.kill()
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert f"{RUNS[0]} finished: last test win rate " in output
    assert f"{RUNS[1]} failed: killed by SIGKILL" in output
    table = output[output.index("run that failed") :].splitlines()
    assert table[1].split() == [RUNS[1], "killed", "by", "SIGKILL", f"logs/{RUNS[1]}.log"]
    assert "1 of 2 runs are finished" in (out / "results.md").read_text()
    assert [path.name for path in (out / "devices").iterdir()] == [RUNS[1]]
    finished, steps = rounds(first), newest_checkpoint_steps(second)
    kept = [row for row in rounds(second) if row["steps"] <= steps]

    process = experiment()
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 0, output
    assert RUNS[0] not in output  # it was finished
    assert f"{RUNS[1]} resumes from step {steps:,}" in output
    assert f"2/2 {RUNS[1]} finished: last test win rate " in output
    assert rounds(first) == finished
    after = rounds(second)
    assert after[: len(kept)] == kept
    assert [row["round"] for row in after] == list(range(1, len(after) + 1))
    assert "2 of 2 runs are finished" in (out / "results.md").read_text()
    for run in RUNS:
        found = [int(row["steps"]) for row in results(out) if row["run"] == run]
        assert len(found) >= 3
        assert all(earlier < later for earlier, later in pairwise(found))
        assert found[-1] >= 1500
    assert (out / "win-rate-3m.png").exists()
    assert (out / "experiment.toml").read_text() == tiny((0, 1), 1500, evaluate_every=500)
    assert list((out / "devices").iterdir()) == []


def test_an_interrupt_ends_every_run_and_what_they_reached_is_written(experiment: Experiment, tmp_path: Path) -> None:
    process = experiment(FOREVER)
    runs = tmp_path / "out" / "runs"
    wait_for(lambda: all(evaluations(runs / run) for run in RUNS), "evaluations of both runs")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 130, output
    assert output.splitlines()[-1] == "pps-qmix: interrupted; everything it started has ended"
    assert "Traceback" not in output
    assert not playing(tmp_path)
    written = results(tmp_path / "out")
    for run in RUNS:
        assert [int(row["steps"]) for row in written if row["run"] == run] == evaluations(runs / run)
    assert "0 of 2 runs are finished" in (tmp_path / "out" / "results.md").read_text()


def test_a_folder_is_for_one_command_and_the_runs_of_a_killed_one_end_with_it(
    experiment: Experiment, tmp_path: Path
) -> None:
    process = experiment(FOREVER)
    wait_for(lambda: len(playing(tmp_path)) == 2, "both runs' processes")
    another = experiment()
    output, _ = another.communicate(timeout=WAIT_LIMIT)
    assert another.returncode == 2
    assert f"{tmp_path / 'out'} is in use: another `pps-qmix experiment`, or a run it has left behind" in output
    assert len(playing(tmp_path)) == 2
    process.kill()
    process.wait(WAIT_LIMIT)
    wait_for(lambda: not playing(tmp_path), "the end of its runs")
