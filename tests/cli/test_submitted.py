"""Runs that were submitted to one SuperLink, one after the other: what the next one is told of them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import pps_qmix.runtime.submitted_runs
from cli import flags
from pps_qmix.requested_run import RequestedRun
from pps_qmix.runtime.processes import PartFailedError
from pps_qmix.runtime.submitted_runs import make_way, resume_hint
from server.run_directory import RunDirectory, open_run
from tests.server.squad import defaults

HERE = "there:8000"


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch, surroundings: None) -> None:
    monkeypatch.setattr(pps_qmix.runtime.submitted_runs, "STOPPED_WITHIN", 0.0)


@pytest.fixture(params=["", "mine"])
def project(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The compose project, if it is one."""
    name: str = request.param
    monkeypatch.setenv("PPS_COMPOSE_PROJECT", name)
    return name


def chosen(runs: Path, name: str, *words: str) -> RequestedRun:
    parser = argparse.ArgumentParser()
    flags.add_arguments(parser)
    return flags.choose(parser.parse_args(["--runs", str(runs), "--run", name, *words]))


def submit(run: RequestedRun, address: str = HERE) -> list[str]:
    """Return what is said."""
    said: list[str] = []
    make_way(run, address, said.append)
    return said


def begun(runs: Path, name: str, *words: str) -> RequestedRun:
    """A run that was submitted and has begun."""
    run = chosen(runs, name, *words)
    submit(run)
    RunDirectory.create(run.settings.model_copy(update={"runs": str(runs)}))
    return run


def test_the_first_run_is_told_nothing(tmp_path: Path) -> None:
    assert submit(chosen(tmp_path, "first")) == []


def test_the_next_run_is_told_where_the_one_before_ended(tmp_path: Path, project: str) -> None:
    first = begun(tmp_path, "first", "--battles", "4", "--map", "2s3z")
    (said,) = submit(chosen(tmp_path, "next"))
    how = f"--resume {tmp_path / 'first'}"
    if project:
        how = "MAP=2s3z BATTLES=4 SETTINGS='--resume first' docker compose up experiment"
    end = "; COMPOSE_PROJECT_NAME=OTHER plays another beside it" if project else ""
    assert (
        said
        == f"the run before, first, ended at step 0 of {defaults()['total-steps']:,}; resume it later with {how}{end}"
    )
    assert resume_hint(first).endswith(f"resume it with {how}")


def test_a_run_that_is_played_keeps_out_the_next_one(tmp_path: Path, project: str) -> None:
    first = begun(tmp_path, "first")
    settings = first.settings.model_copy(update={"runs": str(tmp_path), "resume": True})
    with open_run(settings, {}), pytest.raises(PartFailedError) as refused:
        submit(chosen(tmp_path, "next"))
    place = "in this compose project" if project else f"on the SuperLink at {HERE}"
    assert str(refused.value).startswith(f"the run first is played {place}, at step 0 of ")
    assert ("COMPOSE_PROJECT_NAME=OTHER plays another beside it" in str(refused.value)) is bool(project)


def test_what_another_superlink_or_another_arena_plays_is_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begun(tmp_path, "first")
    settings = first.settings.model_copy(update={"runs": str(tmp_path), "resume": True})
    with open_run(settings, {}):
        assert submit(chosen(tmp_path, "elsewhere"), "other:8000") == []
        submit(chosen(tmp_path, "blue", "--arena", "blue"))
        monkeypatch.setenv("PPS_COMPOSE_PROJECT", "another")
        assert submit(chosen(tmp_path, "project")) == []
