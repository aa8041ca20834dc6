"""Rows as they come: each once, whole, also where a run resumes from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.metrics import MetricsReader
from server.run_directory import RunDirectory, metrics_path
from tests.server.squad import settings


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(settings(runs=str(tmp_path), run="first"))


def add(run: RunDirectory, *rounds: int) -> None:
    for round_ in rounds:
        run.append(row(round_))


def row(round_: int) -> dict[str, Any]:
    return {"kind": "round", "round": round_, "steps": 1000 * round_}


def test_every_row_comes_once(run: RunDirectory) -> None:
    rows = MetricsReader(run.path)
    assert rows.read_new() == []
    add(run, 1, 2)
    assert rows.read_new() == [row(1), row(2)]
    assert rows.read_new() == []
    add(run, 3)
    assert rows.read_new() == [row(3)]


def test_a_run_that_has_not_begun_has_no_rows(tmp_path: Path) -> None:
    rows = MetricsReader(tmp_path / "later")
    assert rows.read_new() == []
    add(RunDirectory.create(settings(runs=str(tmp_path), run="later")), 1)
    assert rows.read_new() == [row(1)]


def test_a_row_comes_when_it_is_whole(run: RunDirectory) -> None:
    rows = MetricsReader(run.path)
    add(run, 1)
    with open(metrics_path(run.path), "a") as file:
        file.write('{"kind": "round", "rou')
        file.flush()
        assert rows.read_new() == [row(1)]
        assert rows.read_new() == []
        file.write('nd": 2, "steps": 2000}\n')
    assert rows.read_new() == [row(2)]


@pytest.mark.parametrize("again", [[], [3], [3, 4, 5]])
def test_rows_that_were_dropped_and_come_again_are_told_from_there_on_where_none_was_before(
    run: RunDirectory, again: list[int]
) -> None:
    """Rounds 3 and 4 are played again; those between the two looks are told from the fifth row on."""
    rows = MetricsReader(run.path)
    add(run, 1, 2, 3, 4)
    assert len(rows.read_new()) == 4
    run.drop_after(2)
    add(run, *again)
    assert rows.read_new() == [row(number) for number in again if number > 4]
    add(run, 6)
    assert rows.read_new() == [row(6)]
