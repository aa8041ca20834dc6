"""The pages that a run's end adds: recorded battles, the report that links them, the comparison of its folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pps_qmix import Run, load_run, train
from pps_qmix.configuration import default_config
from pps_qmix.run_pages import Recording, record_battles, write_pages
from server.checkpoints import Checkpoint, newest_checkpoint, save_checkpoint
from server.run_directory import RunDirectory, report_path, watch_path
from server.settings import check_settings
from tests.cli.test_in_process import TINY
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flower_identity: None) -> None:
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))


def play(runs: Path, **changes: Any) -> Run:
    settings = {name.replace("-", "_"): value for name, value in TINY.items()}
    return train(runtime="in-process", map="3m", runs=str(runs), run="mine", threads=1, **{**settings, **changes})


def test_the_end_of_a_run_records_battles_and_links_them(tmp_path: Path) -> None:
    run = play(tmp_path / "runs")
    page = watch_path(run.path).read_text(encoding="utf-8")
    checkpoint = newest_checkpoint(run.path)
    assert checkpoint is not None
    assert f"<title>3m, run mine after {checkpoint.steps:,} steps</title>" in page
    assert 'href="watch.html"' in report_path(run.path).read_text(encoding="utf-8")
    index = (tmp_path / "runs" / "index.html").read_text(encoding="utf-8")
    assert 'href="mine/report.html"' in index
    assert 'href="mine/watch.html"' in index
    assert "finished" in index


def test_pages_that_cannot_be_written_fail_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs = tmp_path / "runs"
    (runs / "index.html").mkdir(parents=True)
    (runs / "mine" / "watch.html").mkdir(parents=True)
    with caplog.at_level(logging.WARNING, "pps_qmix"):
        run = play(runs)
    assert load_run(run.path).evaluations
    said = [record.getMessage() for record in caplog.records if record.name == "pps_qmix"]
    assert [line.startswith(what) for line, what in zip(said, ("the battles of", "the comparison of"), strict=True)]


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(check_settings({**default_config(), "runs": str(tmp_path), "run": "one"}))


def test_without_recorded_battles_the_report_says_the_command(directory: RunDirectory) -> None:
    write_pages(directory.path)
    text = report_path(directory.path).read_text(encoding="utf-8")
    assert f"<code>pps-qmix watch {directory.path}</code>" in text
    assert "watch.html" not in text


def test_a_run_that_another_machine_keeps_gets_no_pages(tmp_path: Path) -> None:
    (tmp_path / "runs" / "away").mkdir(parents=True)
    write_pages(tmp_path / "runs" / "away")
    assert list((tmp_path / "runs").iterdir()) == [tmp_path / "runs" / "away"]
    assert list((tmp_path / "runs" / "away").iterdir()) == []


def test_no_game_of_starcraft_is_started_for_a_page(tmp_path: Path) -> None:
    settings = {**default_config(), "runs": str(tmp_path), "run": "one", "backend": "smac"}
    path = RunDirectory.create(check_settings(settings)).path
    record_battles(path)
    with Recording(path, 0) as recording:
        recording.look()
    assert not watch_path(path).exists()
    assert not (path / "logs").exists()


def test_over_flower_the_recording_begins_with_the_last_checkpoint(tmp_path: Path) -> None:
    run = play(tmp_path / "runs")
    watch_path(run.path).unlink()
    checkpoint = newest_checkpoint(run.path)
    assert checkpoint is not None
    with Recording(run.path, checkpoint.steps + 1) as recording:
        recording.look()
        assert not (run.path / "logs").exists()
    with Recording(run.path, checkpoint.steps) as recording:
        recording.look()
        recording.look()  # one recording is enough
        wait_for(watch_path(run.path).exists, "the recorded battles")
    assert "battle 3: " in (run.path / "logs" / "watch.log").read_text()


def test_a_recording_that_takes_too_long_is_ended(directory: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pps_qmix.run_pages._LIMIT", 0.0)
    save_checkpoint(directory.path, Checkpoint(1, 10, {0: {"w": np.zeros(1, np.float32)}}))
    with Recording(directory.path, 10) as recording:
        recording.look()
    assert not watch_path(directory.path).exists()
