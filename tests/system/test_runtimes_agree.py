"""The in-process runtime and Flower's processes are the same system: the same seed gives the same weights."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from server.run_directory import newest_checkpoint
from tests.system.conftest import rounds, rows


@pytest.mark.timeout(240)
def test_three_rounds_give_the_same_weights_bit_for_bit(
    train: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    # pp-pps over qmix has all there is: reward weights, personal and shared tensors, a mixer
    rules = "obs-last-action=true, reward-scale-rate=10"
    settings = {"strategy": "pp-pps", "base": "qmix", "total_steps": 1500, "seed": 5, "rules": rules}
    for run, runtime in (("here", "in-process"), ("flower", "flower")):
        process = train(run, "--runtime", runtime, **settings)
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output
        assert "curve.png" in output
    here, flower = newest_checkpoint(tmp_path / "here"), newest_checkpoint(tmp_path / "flower")
    assert here is not None
    assert flower is not None
    assert here.round == flower.round >= 3
    assert here.steps == flower.steps
    for seat, tensors in here.agents.items():
        assert tensors.keys() == flower.agents[seat].keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, flower.agents[seat][name], err_msg=f"seat {seat}, {name}")
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
