"""`pps-qmix status` of runs that are on, over, stopped and broken, and of devices in every state."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.main import main
from client.device import DeviceDirectory
from operations.paths import shown
from pps_qmix.configuration import default_config
from pps_qmix.status import device_statuses, run_status
from server.checkpoints import Checkpoint, save_checkpoint
from server.run_directory import RunDirectory, Runtime, open_run
from server.settings import check_settings

ROUND = {"kind": "round", "round": 2, "steps": 60, "rejected": {"1": "tensors that are no numbers"}, "missing": [2]}
EVALUATION = {"kind": "evaluation", "round": 2, "steps": 50, "battles": 4, "won": 1, "win-rate": 0.25, "return": 7.5}


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, surroundings: None) -> None:
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    settings = check_settings({**default_config(), "runs": str(tmp_path / "runs"), "run": "mine", "total-steps": 100})
    return RunDirectory.create(settings)


def status(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Return what the command says as JSON; as text it says something, too."""
    assert main(["status", *arguments]) == code
    assert capsys.readouterr().out
    assert main(["status", "--json", *arguments]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_run_from_its_beginning_to_its_end(capsys: pytest.CaptureFixture[str], directory: RunDirectory) -> None:
    begun = status(capsys, "mine")["run"]
    assert (begun["state"], begun["round"], begun["row_age"], begun["checkpoint"]) == ("stopped", None, None, None)
    with open_run(directory.settings.model_copy(update={"resume": True}), {}):
        directory.append(EVALUATION)
        directory.append(ROUND)
        save_checkpoint(directory.path, Checkpoint(2, 60, {0: {"w": np.zeros(1, np.float32)}}))
        found = status(capsys)["run"]  # the newest
    assert (found["run"], found["state"], found["problem"]) == ("mine", "running", None)
    assert (found["map"], found["strategy"], found["base"]) == ("3m", "rs-pps", "vdn")
    assert (found["round"], found["steps"], found["total_steps"]) == (2, 60, 100)
    assert found["evaluation"] == {"steps": 50, "win-rate": 0.25, "return": 7.5}
    assert found["row_age"] >= 0
    assert (found["rejected"], found["missing"]) == (ROUND["rejected"], [2])
    assert found["checkpoint"] == "round-000002"
    assert run_status(directory.path).state == "stopped"
    directory.append({**ROUND, "round": 3, "steps": 101, "missing": [], "rejected": {}})
    assert run_status(directory.path).state == "finished"


def test_as_text_it_can_be_read(capsys: pytest.CaptureFixture[str], directory: RunDirectory) -> None:
    directory.append(EVALUATION)
    directory.append(ROUND)
    assert main(["status", "mine"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("run mine: stopped\n  3m, rs-pps, vdn; began 20")
    for words in (
        "60 steps of 100 (60 %), round 2",
        "last test: win rate 25 %, return 7.50, at step 50",
        "newest checkpoint: none",
        "missing in round 2: seat 2",
        "left out of round 2: seat 1: tensors that are no numbers",
    ):
        assert f"  {words}" in said or words in said
    assert said.endswith("/home: none\n")


@pytest.mark.parametrize(
    ("runtime", "said"), [("in-process", "plays in the process of the run"), ("flower", "no agent process")]
)
def test_who_plays_a_seat_of_a_running_run_is_said(
    capsys: pytest.CaptureFixture[str], directory: RunDirectory, tmp_path: Path, runtime: Runtime, said: str
) -> None:
    DeviceDirectory(tmp_path / "home", "mine", directory.run_id, 0).make()
    directory.note_runtime(runtime)
    with open_run(directory.settings.model_copy(update={"resume": True}), {}):
        assert main(["status", "mine"]) == 0
    assert f"  seat 0: {said}; no round kept yet" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"id": 1, "settings": 3}', "\0" * 100])
def test_a_broken_run_is_told(capsys: pytest.CaptureFixture[str], directory: RunDirectory, content: str | None) -> None:
    if content is None:
        (directory.path / "run.json").unlink()
    else:
        (directory.path / "run.json").write_text(content)
    found = status(capsys, str(directory.path), code=1)["run"]
    assert found["state"] == "broken"
    assert found["problem"].endswith("is not a run directory: it has no readable run.json")


@pytest.mark.parametrize(
    "rows",
    ['{"kind": "round"}', '7\n"x"\n[]\nnull', '{"kind": "round", "steps": "many", "missing": 3, "rejected": 1}', "\0{"],
)
def test_rows_that_say_nothing_do_no_harm(
    capsys: pytest.CaptureFixture[str], directory: RunDirectory, rows: str
) -> None:
    (directory.path / "metrics.jsonl").write_text(rows)
    (directory.path / "run.json").write_text('{"id": "x", "settings": {"map": 3, "total-steps": null}}')
    found = status(capsys, "mine")["run"]
    assert (found["state"], found["steps"], found["missing"]) == ("stopped", None, [])


def test_a_folder_in_the_place_of_a_file(capsys: pytest.CaptureFixture[str], directory: RunDirectory) -> None:
    (directory.path / "metrics.jsonl").mkdir()
    assert status(capsys, "mine", code=1)["run"]["state"] == "broken"


def test_a_run_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["status", "none"]) == 2
    assert (
        capsys.readouterr().err
        == "pps-qmix: unknown run 'none': expected a run directory, or the name of a run in runs\n"
    )
    assert status(capsys) == {"run": None, "devices": []}


def test_a_run_is_told_by_its_own_name_however_it_is_named(
    capsys: pytest.CaptureFixture[str], directory: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(directory.path, Checkpoint(2, 60, {0: {"w": np.zeros(1, np.float32)}}))
    run_id = directory.run_id
    DeviceDirectory(tmp_path / "home", "mine", run_id, 0).make()
    DeviceDirectory(tmp_path / "home", "mine", "another", 0).make()  # a run of the same name
    (tmp_path / "link").symlink_to(directory.path)
    monkeypatch.chdir(directory.path)
    for written in (".", "./", "checkpoints/..", "../mine", f"{tmp_path}/link/"):
        found = status(capsys, written)
        assert (found["run"]["run"], found["run"]["path"]) == ("mine", str(directory.path)), written
        assert [(device["run"], device["run_id"]) for device in found["devices"]] == [("mine", run_id)]
    assert main(["status", ""]) == 2
    assert (
        capsys.readouterr().err == "pps-qmix: unknown run '': expected a run directory, or the name of a run in runs\n"
    )


@pytest.mark.parametrize("name", ["copy of [old] :cat: a", "[b]", "-x", "two\nlines", os.fsdecode(b"\xff"), "é😀"])
def test_a_folder_of_any_name_is_shown_in_one_line(
    capsys: pytest.CaptureFixture[str], directory: RunDirectory, name: str
) -> None:
    directory.path.rename(directory.path.with_name(name))
    assert main(["status", f"runs/{name}"]) == 0
    assert capsys.readouterr().out.startswith(f"run {shown(name)}: stopped\n  3m, ")


def test_devices(capsys: pytest.CaptureFixture[str], tmp_path: Path, directory: RunDirectory) -> None:
    home = tmp_path / "home"
    run_id = directory.run_id
    for run, id_, seat in (("mine", run_id, 0), ("mine", run_id, 1), ("other", "id", 10), ("other", "id", 2)):
        DeviceDirectory(home, run, id_, seat).make()
    state = {"round": 4, "buffer": {"position": 3, "count": 20}, "settings": {"buffer_size": 50}}
    DeviceDirectory(home, "mine", run_id, 0).save({}, state)
    (home / "mine" / run_id / "seat-1" / "agent.json").write_text("{")
    (home / ".supernodes" / "seat-0").mkdir(parents=True)
    (home / "tokens" / "main").mkdir(parents=True)
    first, broken, *others = device_statuses(home)
    assert (first.run, first.seat, first.round, first.battles, first.capacity) == ("mine", 0, 4, 20, 50)
    assert (first.agent, first.problem) == (False, None)
    assert first.age is not None
    assert broken.problem is not None
    assert "cannot be read" in broken.problem
    assert [(each.run, each.seat, each.round, each.problem) for each in others] == [
        ("other", 2, None, None),
        ("other", 10, None, None),
    ]
    (home / "no run" / "id" / "seat-0").mkdir(parents=True)
    assert [device["seat"] for device in status(capsys, "mine")["devices"]] == [0, 1]
    assert [device["seat"] for device in status(capsys)["devices"]] == [0, 1]  # the newest run's
    assert main(["status"]) == 0
    *_, idle, unreadable, elsewhere = capsys.readouterr().out.splitlines()
    assert idle.startswith("  seat 0: idle, stopped; round 4, buffer 20 of 50 battles, kept ")
    assert unreadable.startswith("  seat 1: idle, stopped; ")
    assert elsewhere == "devices of other runs: other (pps-qmix status RUN)"
    directory.append({**ROUND, "round": 9, "steps": 140})
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert "140 steps of 100 (100 %), round 9" in said
    assert "seat 0: idle, finished; " in said
    shutil.rmtree(directory.path)
    found = status(capsys)  # a machine with devices alone
    assert (found["run"], len(found["devices"])) == (None, 4)
