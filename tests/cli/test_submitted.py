"""Which run was submitted before this one, and whether it is still on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli import submitted
from cli.parts import PartFailedError
from cli.submitted import COMPOSE_PROJECT, make_way, resume_hint
from server.run_directory import open_run
from tests.cli.test_flags import chosen

LINK = "127.0.0.1:9"


def begun(runs: Path, name: str, *arguments: str) -> Path:
    """A run that was submitted and has begun, as its directory says."""
    run = chosen("--runs", str(runs), "--run", name, *arguments)
    make_way(run, LINK, lambda _: None)
    with open_run(run.settings, run.given):
        pass
    return run.path


def told(runs: Path, name: str, link: str = LINK) -> list[str]:
    said: list[str] = []
    make_way(chosen("--runs", str(runs), "--run", name), link, said.append)
    return said


def test_the_first_run_of_a_folder_is_told_of_no_other(tmp_path: Path) -> None:
    assert told(tmp_path, "first") == []


def test_a_run_that_was_not_finished_is_named_with_the_way_to_resume_it(tmp_path: Path) -> None:
    path = begun(tmp_path, "before", "--total-steps", "5000")
    (said,) = told(tmp_path, "next")
    assert said == f"the run before, before, ended at step 0 of 5,000; resume it later with --resume {path}"
    assert told(tmp_path, "elsewhere", "127.0.0.1:10") == []


def test_in_a_compose_project_it_is_told_in_the_words_of_compose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMPOSE_PROJECT, "one")
    begun(tmp_path, "before", "--map", "8m")
    (said,) = told(tmp_path, "next")
    assert "MAP=8m SETTINGS='--resume before' docker compose up experiment" in said
    assert said.endswith("COMPOSE_PROJECT_NAME=OTHER plays another beside it")
    monkeypatch.setenv(COMPOSE_PROJECT, "other")  # another SuperLink, of the same address
    assert told(tmp_path, "beside") == []


def test_a_run_that_is_on_is_not_pushed_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitted, "_GONE_WITHIN", 0.3)
    begun(tmp_path, "on")
    run = chosen("--resume", str(tmp_path / "on"))
    with open_run(run.settings, run.given), pytest.raises(PartFailedError) as refused:
        told(tmp_path, "next")
    assert f"the run on is played on the SuperLink at {LINK}, at step 0 of" in str(refused.value)
    assert "stop it with flwr stop" in str(refused.value)


def test_a_file_that_is_none_of_ours_is_ignored(tmp_path: Path) -> None:
    path = begun(tmp_path, "before")
    (path / "logs" / "submitted.json").write_text(json.dumps(["?"]))
    assert told(tmp_path, "next") == []


def test_a_run_that_is_stopped_says_how_to_resume_it(tmp_path: Path) -> None:
    assert resume_hint(chosen("--runs", str(tmp_path), "--run", "new")) == "new has not begun"
    path = begun(tmp_path, "mine", "--total-steps", "5000")
    hint = resume_hint(chosen("--runs", str(tmp_path), "--run", "mine2"))
    assert hint == "mine2 has not begun"
    run = chosen("--resume", str(path))
    assert resume_hint(run) == f"mine was stopped at step 0 of 5,000; resume it with --resume {path}"
