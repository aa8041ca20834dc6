"""What a file or pipe is told of a run between its evaluations."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cli import progress
from cli.plain_console import PlainConsole
from cli.progress import ProgressDisplay
from server.run_directory import RunDirectory, now_path
from tests.cli.test_flags import chosen
from tests.waiting import wait_for


def test_it_says_what_the_run_waits_for_and_how_far_a_round_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(progress, "_SAY_EVERY", 0.05)
    settings = chosen("--runs", str(tmp_path), "--run", "r").settings
    directory = RunDirectory.create(settings)
    said = io.StringIO()
    with ProgressDisplay(directory.path, 5000, lambda: (1, 240), PlainConsole(file=said)):
        for now, words in (
            ({"waiting-for": None}, "waiting: no device has answered yet"),
            ({"waiting-for": [0, 2]}, "waiting: no device holds seat 0, 2"),
            ({"round": 1, "steps": 0}, "round 1 begins at step 0"),
        ):
            directory.note_now(now)
            wait_for(lambda words=words: words in said.getvalue(), words, limit=60.0, every=0.01)
        wait_for(lambda: "round 1 is played: step 240 of 5,000" in said.getvalue(), "the step", limit=60.0, every=0.01)
        now_path(directory.path).write_text("[", encoding="utf-8")  # of another version, or cut off: nothing is said
