"""The runtime that plays a run: named, kept or default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.flags import choose
from cli.main import build_parser
from pps_qmix.configuration import Value, default_config
from pps_qmix.requested_run import RequestedRun
from pps_qmix.training import chosen_runtime
from server.run_directory import RunDirectory, RunDirectoryError
from server.settings import check_settings


def chosen(runs: Path, *arguments: str) -> RequestedRun:
    """What `train` with these flags is asked for."""
    return choose(build_parser().parse_args(["train", "--runs", str(runs), *arguments]))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that was begun, as versions before the entry `runtime` of run.json left it."""
    return RunDirectory.create(check_settings({**default_config(), "runs": str(tmp_path), "run": "begun"}))


def test_a_new_run_is_played_over_flower_and_a_centralised_one_in_process(tmp_path: Path) -> None:
    assert chosen_runtime(chosen(tmp_path), None) == "flower"
    assert chosen_runtime(chosen(tmp_path, "--centralised"), None) == "in-process"
    assert chosen_runtime(chosen(tmp_path), "in-process") == "in-process"


def test_a_resumed_run_keeps_its_runtime_unless_another_is_named(tmp_path: Path, run: RunDirectory) -> None:
    run.note_runtime("in-process")
    assert chosen_runtime(chosen(tmp_path, "--resume", "begun"), None) == "in-process"
    assert chosen_runtime(chosen(tmp_path, "--resume", "begun"), "flower") == "flower"
    run.note_runtime("flower")
    assert chosen_runtime(chosen(tmp_path, "--resume", "begun"), None) == "flower"
    assert chosen_runtime(chosen(tmp_path), None) == "flower"


@pytest.mark.usefixtures("run")
def test_a_run_that_does_not_say_its_runtime_resumes_over_flower(tmp_path: Path) -> None:
    assert chosen_runtime(chosen(tmp_path, "--resume", "begun"), None) == "flower"


def test_a_centralised_run_that_does_not_say_its_runtime_resumes_in_process(tmp_path: Path) -> None:
    central: dict[str, Value] = {"centralised": True, "strategy": "none", "mixing": "joint"}
    central |= {"runs": str(tmp_path), "run": "central"}
    RunDirectory.create(check_settings({**default_config(), **central}))
    assert chosen_runtime(chosen(tmp_path, "--resume", "central"), None) == "in-process"


def test_a_run_of_another_simulator_is_refused_before_anything_starts(tmp_path: Path, run: RunDirectory) -> None:
    document = run.path / "run.json"
    said = json.loads(document.read_text())
    document.write_text(json.dumps({**said, "simulator": 1}))
    with pytest.raises(RunDirectoryError, match="begun cannot be resumed: simulator version 1 played the battles"):
        chosen(tmp_path, "--resume", "begun")


def test_a_runtime_that_does_not_exist_is_refused(tmp_path: Path, run: RunDirectory) -> None:
    document = run.path / "run.json"
    document.write_text(document.read_text().replace('"commit"', '"runtime": "cloud",\n "commit"'), encoding="utf-8")
    asked = chosen(tmp_path, "--resume", "begun")
    with pytest.raises(RunDirectoryError, match="names the runtime 'cloud', expected flower or in-process"):
        chosen_runtime(asked, None)
    assert chosen_runtime(asked, "flower") == "flower"
