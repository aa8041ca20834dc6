"""What a user is told of a run before its first evaluation: whom it waits for, and how far it is."""

from __future__ import annotations

import io
import re
from functools import partial
from pathlib import Path

import pytest

import cli.progress
from cli.plain_console import PlainConsole
from cli.progress import ProgressDisplay
from server.run_directory import RunDirectory
from server.settings import check_settings
from tests.metrics_rows import evaluation_row
from tests.server.squad import defaults
from tests.waiting import wait_for


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(check_settings({**defaults(), "runs": str(tmp_path), "run": "a"}))


def test_a_log_is_told_whom_the_run_waits_for_and_how_far_it_is(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.progress, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(cli.progress, "_SAY_EVERY", 0.05)
    said = io.StringIO()
    run.note_now({"round": 7, "steps": 70})  # of the ServerApp before
    where = (1, 250)

    def has_said(line: str) -> bool:
        return line in said.getvalue()

    with ProgressDisplay(run.path, 1000, lambda: where, PlainConsole(file=said, width=200)):
        for now, line in (
            ({"waiting-for": None}, "waiting: no device has answered yet\n"),
            ({"waiting-for": [0, 2]}, "waiting: no device holds seats 0, 2\n"),
            ({"round": 1, "steps": 0}, "round 1 begins at step 0\n"),
        ):
            run.note_now(now)
            wait_for(partial(has_said, line), line)
        wait_for(lambda: "round 1 is played: step 250 of 1,000\n" in said.getvalue(), "how far the round is")
    assert "round 7" not in said.getvalue()


def test_a_terminal_of_80_columns_has_room_for_a_long_run(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.progress, "_LOOK_EVERY", 0.01)
    said = io.StringIO()
    console = PlainConsole(file=said, width=80, force_terminal=True, color_system=None)
    played = iter(range(0, 10**9, 40_000))
    with ProgressDisplay(run.path, 2_000_000, lambda: (1, min(next(played), 1_999_960)), console):
        run.append(evaluation_row(5000, 28))
        run.note_now({"round": 1, "steps": 0})
        wait_for(lambda: "steps/s, 0:00:0" in said.getvalue(), "the speed")
    lines = [line.rstrip() for line in re.split(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]+", said.getvalue())]
    shown = [line for line in lines if line.endswith(" left")]
    assert shown
    assert all(re.search(r"[\d,]+ steps round 1 won 88 % [\d,]+ steps/s, 0:00:\d\d left$", line) for line in shown)
    assert max(map(len, lines)) <= 80
