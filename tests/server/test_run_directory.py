"""The run directory: whole or not at all, whatever happens; and nothing that a resumed run must not do."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

import server.run_directory as module
from operations.locks import InUseError
from operations.simulator import SIMULATOR
from server.checkpoints import Checkpoint, newest_checkpoint_steps, save_checkpoint
from server.run_directory import (
    NotKeptError,
    RunDirectory,
    RunDirectoryError,
    check_free,
    has_run,
    kept_runtime,
    open_run,
    read_rows,
    read_run,
)
from server.settings import SettingsError, Value, check_settings
from tests.server.squad import defaults, settings


@pytest.fixture
def made(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(settings(runs=str(tmp_path), run="first"))


def row(round_: int, kind: str = "round") -> dict[str, Any]:
    return {"kind": kind, "round": round_, "steps": 1000 * round_}


# --- create ---------------------------------------------------------------------------------------------------


def test_a_new_run_says_what_it_is(made: RunDirectory, tmp_path: Path) -> None:
    document = read_run(tmp_path / "first")
    assert document["settings"] == made.settings.config()
    assert document["id"] == made.run_id
    assert {"python", "pps-qmix", "flwr", "torch", "numpy"} == document["versions"].keys()
    assert made.rows() == []


@pytest.mark.parametrize(("backend", "simulator"), [("skirmish", SIMULATOR), ("smac", 0)])
def test_a_new_run_says_which_simulator_plays_it(tmp_path: Path, backend: str, simulator: int) -> None:
    made = RunDirectory.create(settings(runs=str(tmp_path), run="first", backend=backend))
    assert read_run(made.path)["simulator"] == simulator


@pytest.mark.parametrize("said", [SIMULATOR + 1, None])
def test_a_run_of_another_simulator_is_not_resumed(made: RunDirectory, tmp_path: Path, said: int | None) -> None:
    """A run that does not say it is of version 1, which had no number."""
    document = {name: value for name, value in read_run(made.path).items() if name != "simulator"}
    document |= {} if said is None else {"simulator": said}
    (made.path / "run.json").write_text(json.dumps(document))
    reason = f"simulator version {said or 1} played the battles, and this pps-qmix has version {SIMULATOR}; begin a new"
    with pytest.raises(RunDirectoryError, match=reason):
        RunDirectory.resume(settings(runs=str(tmp_path), run="first"), {})
    assert json.loads((made.path / "run.json").read_text()) == document


def test_a_run_without_a_name_is_given_one(tmp_path: Path) -> None:
    made = RunDirectory.create(settings(runs=str(tmp_path), seed=7, strategy="a-pps"))
    assert made.path.name.startswith("3m-a-pps-vdn-s7-")
    assert made.settings.run == made.path.name
    assert read_run(made.path)["settings"]["run"] == made.path.name


def test_two_runs_have_different_ids(made: RunDirectory, tmp_path: Path) -> None:
    assert RunDirectory.create(settings(runs=str(tmp_path), run="second")).run_id != made.run_id


def test_a_run_is_not_overwritten(made: RunDirectory, tmp_path: Path) -> None:
    before = (made.path / "run.json").read_bytes()
    with pytest.raises(RunDirectoryError, match=r"first holds a run: .* --resume first"):
        RunDirectory.create(made.settings)
    assert (made.path / "run.json").read_bytes() == before


def test_a_directory_has_a_run_once_that_was_begun(tmp_path: Path) -> None:
    assert not has_run(tmp_path / "first")
    (tmp_path / "first").mkdir()
    assert not has_run(tmp_path / "first")
    RunDirectory.create(settings(runs=str(tmp_path), run="first"))
    assert has_run(tmp_path / "first")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RunDirectoryError, match=r"cannot make .*file/x: (Not a directory|File exists)"):
        RunDirectory.create(settings(runs=str(tmp_path / "file"), run="x"))


def test_runs_without_a_name_have_each_a_directory_of_their_own(tmp_path: Path) -> None:
    """As ServerApps that begin in one second."""
    made = [RunDirectory.create(settings(runs=str(tmp_path), run="")) for _ in range(5)]
    assert len({each.path for each in made}) == 5
    assert all(each.settings.run == each.path.name for each in made)


# --- resume ---------------------------------------------------------------------------------------------------


def test_a_resumed_run_keeps_its_id_and_takes_what_may_change(made: RunDirectory, tmp_path: Path) -> None:
    given: dict[str, Value] = {"total-steps": 5, "seat-timeout": 7.0, "threads": 3, "device": "auto"}
    given |= {"resume": True, "run": "first", "runs": str(tmp_path)}
    resumed = RunDirectory.resume(check_settings({**defaults(), **given}), given)
    assert resumed.run_id == made.run_id
    assert resumed.settings.total_steps == 5
    assert resumed.settings.seat_timeout == 7.0
    assert (resumed.settings.threads, resumed.settings.device) == (3, "auto")
    assert read_run(made.path)["id"] == made.run_id
    assert read_run(made.path)["settings"] == resumed.settings.config()


def test_what_was_not_named_is_as_the_run_began(tmp_path: Path) -> None:
    RunDirectory.create(settings(runs=str(tmp_path), run="x", gamma=0.5, hidden=8))
    resumed = RunDirectory.resume(settings(runs=str(tmp_path), run="x"), {"run": "x"})
    assert (resumed.settings.gamma, resumed.settings.hidden) == (0.5, 8)


def test_a_run_resumes_with_the_default_of_a_setting_that_it_does_not_have(made: RunDirectory, tmp_path: Path) -> None:
    document = read_run(made.path)
    del document["settings"]["td-lambda"]
    (made.path / "run.json").write_text(json.dumps(document), encoding="utf-8")
    resumed = RunDirectory.resume(settings(runs=str(tmp_path), run="first"), {"run": "first"})
    assert resumed.settings.td_lambda == 0.0


def test_the_runtime_that_played_a_run_last_is_kept(made: RunDirectory, tmp_path: Path) -> None:
    assert kept_runtime(made.path) is None  # as in a run that is older than the entry
    made.note_runtime("in-process")
    assert kept_runtime(made.path) == "in-process"
    resumed = RunDirectory.resume(settings(runs=str(tmp_path), run="first"), {"run": "first"})
    assert kept_runtime(made.path) == "in-process"
    resumed.note_runtime("flower")
    assert kept_runtime(made.path) == "flower"


def test_a_runtime_that_does_not_exist_is_told_with_those_that_do(made: RunDirectory) -> None:
    (made.path / "run.json").write_text(json.dumps({**read_run(made.path), "runtime": "cloud"}), encoding="utf-8")
    with pytest.raises(RunDirectoryError, match=r"names the runtime 'cloud', expected flower or in-process; choose"):
        kept_runtime(made.path)


def test_a_setting_that_must_not_change(made: RunDirectory, tmp_path: Path) -> None:
    before = (made.path / "run.json").read_bytes()
    with pytest.raises(SettingsError, match=r"^gamma: the run began with 0.99, a resumed run cannot change it$"):
        RunDirectory.resume(settings(runs=str(tmp_path), run="first"), {"gamma": 0.9})
    assert (made.path / "run.json").read_bytes() == before
    RunDirectory.resume(settings(runs=str(tmp_path), run="first"), {"gamma": 0.99})  # the same is no change


def test_a_run_moved_to_another_folder_is_resumed_there(made: RunDirectory, tmp_path: Path) -> None:
    shutil.move(made.path, tmp_path / "moved" / "renamed")
    where = {"runs": str(tmp_path / "moved"), "run": "renamed"}
    resumed = RunDirectory.resume(settings(**where), where)
    assert resumed.path == tmp_path / "moved" / "renamed"
    assert resumed.settings.runs == str(tmp_path / "moved")


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", "{}", '{"settings": {}}', '{"id": "x"}', '{"id": "x", "settings": 3}', "\0\0"]
)
def test_no_or_a_bad_run_json(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "x").mkdir()
    if content is not None:
        (tmp_path / "x" / "run.json").write_text(content)
    with pytest.raises(RunDirectoryError, match=r"x is not a run directory: it has no readable run.json"):
        RunDirectory.resume(settings(runs=str(tmp_path), run="x"), {})


# --- metrics --------------------------------------------------------------------------------------------------


def test_rows_come_back_in_order(made: RunDirectory) -> None:
    rows = [row(1, "evaluation"), row(1), row(2)]
    for each in rows:
        made.append(each)
    assert made.rows() == rows == read_rows(made.path)


@pytest.mark.parametrize(
    "cut", [b'{"kind": "rou', b'{"kind": "round", "round": 3}\xc3', b"\0\0\0\0", b"{", b"[1]\n", b'{"kind": "round"}\n']
)
def test_a_last_line_cut_by_a_crash_is_left_out_and_then_dropped(made: RunDirectory, cut: bytes) -> None:
    made.append(row(1))
    made.append(row(2))
    with open(made.path / "metrics.jsonl", "ab") as file:
        file.write(cut)
    assert made.rows() == [row(1), row(2)]
    made.drop_after(2)
    made.append(row(3))
    assert made.rows() == [row(1), row(2), row(3)]


def test_a_run_whose_checkpoints_are_gone_can_be_written_again(made: RunDirectory, tmp_path: Path) -> None:
    (made.path / "checkpoints").rmdir()
    settings = made.settings.model_copy(update={"resume": True})
    save_checkpoint(RunDirectory.resume(settings, {}).path, Checkpoint(1, 100, {}))
    assert newest_checkpoint_steps(made.path) == 100


def test_rows_after_a_round_are_dropped(made: RunDirectory) -> None:
    for each in (row(1), row(2, "evaluation"), row(2), row(3, "evaluation"), row(3)):
        made.append(each)
    made.drop_after(2)
    assert made.rows() == [row(1), row(2, "evaluation"), row(2)]
    made.drop_after(0)
    assert made.rows() == []


def test_a_row_that_finds_no_room(made: RunDirectory) -> None:
    (made.path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(NotKeptError, match=r"cannot write .*metrics.jsonl: No space left on device; .*--resume"):
        made.append(row(1))


def test_run_json_and_rows_are_replaced_whole(
    made: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made.append(row(1))
    before = (made.path / "run.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotKeptError, match=r"cannot write .*run.json: No space"):
        RunDirectory.resume(settings(runs=str(tmp_path), run="first"), {})
    with pytest.raises(NotKeptError, match=r"cannot write .*metrics.jsonl: No space"):
        made.drop_after(0)
    assert (made.path / "run.json").read_bytes() == before
    assert made.rows() == [row(1)]


# --- one writer -----------------------------------------------------------------------------------------------


def test_a_run_has_one_writer_at_a_time(made: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_LIMIT", 0.0)
    again = settings(runs=str(tmp_path), run="first", resume=True)
    with open_run(again, {}):
        with pytest.raises(InUseError, match="first: another process writes this run"), open_run(again, {}):
            pass
        with pytest.raises(InUseError, match="another process"):
            check_free(made.path)
    check_free(made.path)
    with open_run(again, {}) as directory:
        assert directory.run_id == made.run_id


def test_a_command_waits_for_the_previous_writer_of_its_run(made: RunDirectory, tmp_path: Path) -> None:
    again = settings(runs=str(tmp_path), run="first", resume=True)
    before = open_run(again, {})
    before.__enter__()
    leaving = threading.Timer(0.05, before.__exit__, (None, None, None))
    leaving.start()
    with open_run(again, {}) as directory:
        assert directory.run_id == made.run_id
    leaving.join()


def test_a_lock_makes_no_run(tmp_path: Path) -> None:
    absent = settings(runs=str(tmp_path), run="absent", resume=True)
    with pytest.raises(RunDirectoryError, match="is not a run directory"), open_run(absent, {}):
        pass
    check_free(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_what_the_battles_are_played_on_is_written_down(made: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    made.note_provenance({})
    assert "provenance" not in read_run(made.path)
    made.note_provenance({"game": "StarCraft II 4.10.0", "smac": "d6aab33"})
    made.note_provenance({})  # of a team that does not say
    assert read_run(made.path)["provenance"] == {"game": "StarCraft II 4.10.0", "smac": "d6aab33"}
    assert not caplog.text
    made.note_provenance({"game": "StarCraft II 4.6.2", "smac": "d6aab33"})
    assert read_run(made.path)["provenance"]["game"] == "StarCraft II 4.6.2"
    assert "4.10.0" in caplog.text
