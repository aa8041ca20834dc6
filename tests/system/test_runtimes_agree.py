"""The in-process runtime and Flower's processes are the same system: the same seed gives the same weights."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.checkpoints import Checkpoint, newest_checkpoint
from server.run_directory import kept_runtime, read_run
from tests.system.conftest import rounds, rows
from tests.waiting import WAIT_LIMIT

Train = Callable[..., "subprocess.Popen[str]"]


def play_twice(train: Train, runs: Path, settings: dict[str, Any]) -> Checkpoint:
    """Play one run in both runtimes; return the last checkpoint, which must be the same."""
    for run, runtime in (("here", "in-process"), ("flower", "flower")):
        process = train(run, "--runtime", runtime, **settings)
        output, _ = process.communicate(timeout=WAIT_LIMIT)
        assert process.returncode == 0, output
        assert "report.html" in output
        assert kept_runtime(runs / run) == runtime
    here, flower = newest_checkpoint(runs / "here"), newest_checkpoint(runs / "flower")
    assert here is not None
    assert flower is not None
    assert (here.round, here.steps) == (flower.round, flower.steps)
    for seat, tensors in here.agents.items():
        assert tensors.keys() == flower.agents[seat].keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, flower.agents[seat][name], err_msg=f"seat {seat}, {name}")
    return here


@pytest.mark.long(45)
def test_two_rounds_of_joint_mixing_give_the_same_weights(train: Train, tmp_path: Path, home: Path) -> None:
    settings = {"strategy": "none", "base": "qmix", "mixing": "joint", "total_steps": 800, "seed": 6}
    last = play_twice(train, tmp_path, settings)
    assert last.round >= 2
    assert len(last.agents[0]) == 8  # the mixer stays with the env proxy, which keeps it
    assert (last.agents[0]["fc2.weight"] != last.agents[1]["fc2.weight"]).any()
    here, flower = (
        (home / "mixers" / read_run(tmp_path / run)["id"] / f"round-{last.round:06d}.safetensors").read_bytes()
        for run in ("here", "flower")
    )
    assert here == flower
    trained = [{key: row[key] for key in ("training-steps", "loss", "grad-norm")} for row in rounds(tmp_path / "here")]
    assert trained == [{key: row[key] for key in trained[0]} for row in rounds(tmp_path / "flower")]
    assert trained[0]["loss"] > 0


@pytest.mark.long(60)
def test_two_teams_on_two_devices_give_the_same_weights(train: Train, tmp_path: Path) -> None:
    settings = {"teams": 2, "devices": 2, "strategy": "rs-pps", "base": "qmix", "mixing": "joint", "seed": 7}
    last = play_twice(train, tmp_path, {**settings, "share_among": "seat", "total_steps": 800})
    assert last.round >= 2
    assert sorted(last.agents) == list(range(6))
    same = {number: last.agents[number]["fc1.weight"] for number in range(6)}
    np.testing.assert_array_equal(same[1], same[4])  # seat 1 of both teams
    assert (same[0] != same[1]).any()
    evaluated = [row for row in rows(tmp_path / "here") if row["kind"] == "evaluation"]
    assert evaluated == [row for row in rows(tmp_path / "flower") if row["kind"] == "evaluation"]
    assert all(row["teams"].keys() == {"0", "1"} for row in evaluated)


@pytest.mark.long(60)
@pytest.mark.parametrize(
    "settings",
    [
        {"strategy": "pp-pps", "base": "qmix", "adopt": 0.5, "overlap": 3},
        {"strategy": "rs-pps", "base": "vdn", "mixing": "joint", "overlap": 10},
    ],
    ids=["solo", "joint"],
)
def test_rounds_that_overlap_give_the_same_weights_bit_for_bit(
    train: Train, tmp_path: Path, settings: dict[str, Any]
) -> None:
    here = play_twice(train, tmp_path, {**settings, "total_steps": 2000, "seed": 5})
    assert here.round >= 3
    log = (tmp_path / "flower" / "logs" / "run.log").read_text()
    assert "begins again" not in log
    assert "orders another round" not in log
    assert [r for r in rows(tmp_path / "here") if r["kind"] == "evaluation"] == [
        r for r in rows(tmp_path / "flower") if r["kind"] == "evaluation"
    ]
    at_once = train("at-once", "--runtime", "in-process", **{**settings, "overlap": 0, "total_steps": 2000, "seed": 5})
    output, _ = at_once.communicate(timeout=WAIT_LIMIT)
    assert at_once.returncode == 0, output
    other = newest_checkpoint(tmp_path / "at-once")
    assert other is not None
    assert (other.agents[0]["fc2.weight"] != here.agents[0]["fc2.weight"]).any()


@pytest.mark.long(45)
def test_three_rounds_give_the_same_weights_bit_for_bit(train: Train, tmp_path: Path) -> None:
    # pp-pps over qmix has all there is: reward weights, personal and shared tensors, a mixer
    rules = "obs-last-action=true, reward-scale-rate=10"
    settings = {"strategy": "pp-pps", "base": "qmix", "total_steps": 1500, "seed": 5, "rules": rules}
    here = play_twice(train, tmp_path, settings)
    assert here.round >= 3
    # an observation with the last actions of two others, one's own, one's number
    assert here.agents[0]["fc1.weight"].shape[1] == 30 + 2 * 9 + 9 + 3
    # pp-pps keeps the first layers apart and makes the last ones one
    assert (here.agents[0]["fc1.weight"] != here.agents[1]["fc1.weight"]).any()
    np.testing.assert_array_equal(here.agents[0]["fc2.weight"], here.agents[1]["fc2.weight"])
    assert [r for r in rows(tmp_path / "here") if r["kind"] == "evaluation"] == [
        r for r in rows(tmp_path / "flower") if r["kind"] == "evaluation"
    ]
    for run in ("here", "flower"):
        assert json.loads((tmp_path / run / "run.json").read_text())["settings"]["strategy"] == "pp-pps"
        assert (tmp_path / run / "curve.png").read_bytes().startswith(b"\x89PNG")
        assert "<h1>" in (tmp_path / run / "report.html").read_text()
        assert list((tmp_path / run).glob("events.out.tfevents.*"))
        assert all(
            row["seconds"].keys() >= {"round", "flower", "waiting", "acting", "learning"}
            for row in rounds(tmp_path / run)
        )
