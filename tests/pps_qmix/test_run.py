"""The Python API: train, read, evaluate and resume a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pps_qmix
from server.run_directory import RunDirectoryError
from server.settings import SettingsError

TINY: dict[str, Any] = {
    "map": "3m",
    "battles": 2,
    "total_steps": 300,
    "aggregation_every": 4,
    "evaluate_every": 100,
    "evaluate_battles": 2,
    "batch_size": 2,
    "buffer_size": 8,
    "hidden": 8,
}


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))


@pytest.fixture
def run(tmp_path: Path) -> pps_qmix.Run:
    return pps_qmix.train(runtime="in-process", runs=str(tmp_path / "runs"), run="tiny", **TINY)


def test_a_trained_run_has_its_settings_and_its_evaluations(tmp_path: Path) -> None:
    heard: list[pps_qmix.Evaluation] = []
    run = pps_qmix.train(
        runtime="in-process", on_evaluation=heard.append, runs=str(tmp_path / "runs"), run="tiny", **TINY
    )
    assert run.path == tmp_path / "runs" / "tiny"
    assert (run.settings.map, run.settings.total_steps) == ("3m", 300)
    assert heard == run.evaluations
    assert [each.steps for each in heard][-1] >= 300
    assert all(0 <= each.win_rate <= 1 for each in heard)


def test_an_evaluation_of_a_seed_gives_the_same_battles_again(run: pps_qmix.Run) -> None:
    first, again = run.evaluate(battles=4, seed=7), run.evaluate(battles=4, seed=7)
    assert first == again
    assert first.battles == 4


def test_a_resumed_run_plays_on_to_its_new_total(run: pps_qmix.Run) -> None:
    before = run.evaluations
    resumed = run.resume(runtime="in-process", total_steps=600)
    assert resumed.path == run.path
    assert resumed.evaluations[: len(before)] == before
    assert resumed.evaluations[-1].steps >= 600
    with pytest.raises(SettingsError, match="hidden"):
        run.resume(runtime="in-process", total_steps=900, hidden=16)


def test_a_loaded_run_is_the_run_of_its_directory(run: pps_qmix.Run, tmp_path: Path) -> None:
    assert pps_qmix.load_run(str(run.path)) == run
    with pytest.raises(RunDirectoryError):
        pps_qmix.load_run(tmp_path)


def test_wrong_arguments_are_named_before_anything_is_made(tmp_path: Path, run: pps_qmix.Run) -> None:
    runs = str(tmp_path / "none")
    with pytest.raises(SettingsError, match=r'mapp: unknown setting\. Did you mean "map"'):
        pps_qmix.train(mapp="3m", runs=runs)
    with pytest.raises(SettingsError, match="total-steps"):
        pps_qmix.train(total_steps=-1, runs=runs)
    with pytest.raises(SettingsError, match="runtime: expected flower or in-process, found 'fast'"):
        pps_qmix.train(runtime="fast", runs=runs)
    with pytest.raises(ValueError, match="retries: expected 0 or more, found -1"):
        pps_qmix.train(retries=-1, runs=runs)
    with pytest.raises(ValueError, match="on_evaluation: expected a function, found 3"):
        pps_qmix.train(on_evaluation=3, runs=runs)  # type: ignore[arg-type]
    with pytest.raises(RunDirectoryError, match="run: expected a run directory, found nothing"):
        pps_qmix.load_run("")
    with pytest.raises(ValueError, match=r"seed: expected 0.*, found 'a'"):
        run.evaluate(seed="a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"battles: expected 1\.\."):
        run.evaluate(battles=0)
    assert not (tmp_path / "none").exists()


def test_an_exception_of_on_evaluation_is_raised_after_the_run(tmp_path: Path) -> None:
    def refuse(_: pps_qmix.Evaluation) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        pps_qmix.train(runtime="in-process", on_evaluation=refuse, runs=str(tmp_path / "runs"), run="tiny", **TINY)
    assert pps_qmix.load_run(tmp_path / "runs" / "tiny").evaluations[-1].steps >= 300


def test_an_experiment_plays_its_runs_and_resumes_to_nothing(tmp_path: Path) -> None:
    settings = "\n".join(f"{name.replace('_', '-')} = {value}" for name, value in TINY.items() if name != "map")
    file = tmp_path / "tiny.toml"
    file.write_text(
        f'name = "tiny"\nseeds = [0]\nmaps = ["3m"]\n[settings]\n{settings}\n'
        '[[methods]]\nname = "A"\nstrategy = "a-pps"\nbase = "vdn"\n'
    )
    experiment = pps_qmix.Experiment.load(file, out=tmp_path / "out")
    outcome = experiment.run(jobs=1)
    assert outcome.failed == []
    (result,) = outcome.results
    assert result.finished
    assert result.evaluations[-1].steps >= 300
    assert (outcome.path / "results.md").exists()


def test_a_battle_is_a_pettingzoo_environment() -> None:
    environment = pps_qmix.parallel_env("3m")
    observations, _ = environment.reset(seed=3)
    assert len(observations) == 3


def test_the_package_loads_without_torch_and_lists_its_names() -> None:
    code = "import sys, pps_qmix; assert 'torch' not in sys.modules; print(*sorted(pps_qmix.__all__))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == sorted(pps_qmix.__all__) == sorted(set(dir(pps_qmix)))
