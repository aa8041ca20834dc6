"""How a submitted run ends, read from what Flower's command prints: a script takes its place here."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import pps_qmix.runtime.submission
import pps_qmix.runtime.superlink
from pps_qmix.runtime.processes import PartFailedError, StopError
from pps_qmix.runtime.submission import Submission
from pps_qmix.runtime.superlink import SuperLink
from server.failure import NeedsYouError

# Prints what is in the files `run`, `log` and `list` beside it; of `list` a line a call, the last one again and again.
SCRIPT = """#!/bin/sh
cd "$(dirname "$0")"
echo "$@" >> calls
if [ "$1" = list ]; then
    head -n 1 list
    if [ "$(wc -l < list)" -gt 1 ]; then sed -i 1d list; fi
elif [ -f "$1" ]; then
    cat "$1"
fi
"""

Submit = Callable[..., Submission]


def listed(status: str, details: str = "") -> str:
    return json.dumps({"success": True, "runs": [{"status": status, "status-details": details}]})


def error(message: str) -> str:
    return json.dumps({"success": False, "error-message": message})


UNAVAILABLE = error("Connection to the SuperLink is unavailable. Please check your network connection")
COMPLETED = listed("finished:completed")


@pytest.fixture
def flwr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the command."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "flwr").write_text(SCRIPT)
    (folder / "flwr").chmod(0o755)
    monkeypatch.setattr(pps_qmix.runtime.superlink, "flower_command", lambda _: str(folder / "flwr"))
    monkeypatch.setattr(pps_qmix.runtime.submission, "_ASK_AGAIN", 0.0)
    monkeypatch.setattr(pps_qmix.runtime.submission, "_LOOK_EVERY", 0.01)
    return folder


@pytest.fixture
def submit(flwr: Path, tmp_path: Path) -> Submit:
    """Submit a run that Flower calls 1234567."""
    (tmp_path / "home").mkdir()

    def submitted(*statuses: str, taken: str = "Successfully started run 1234567\n") -> Submission:
        (flwr / "run").write_text(taken)
        (flwr / "list").write_text("\n".join(statuses) + "\n")
        return Submission(SuperLink("there:1"), {"seed": 3}, tmp_path / "home", tmp_path / "log")

    return submitted


def test_a_completed_run_is_reported_as_finished(submit: Submit, flwr: Path, tmp_path: Path) -> None:
    submit(COMPLETED).follow(lambda: None)
    run, list_ = (flwr / "calls").read_text().splitlines()
    home = tmp_path / "home"
    assert run == f"run {home / 'app'} here --stream --run-config {home / 'run-config.toml'}"
    assert list_ == "list here --run-id 1234567 --format json"
    assert tomllib.loads((home / "run-config.toml").read_text()) == {"seed": 3}
    profile = tomllib.loads((home / "config.toml").read_text())
    assert profile == {"superlink": {"here": {"address": "there:1", "insecure": True}}}
    assert (home / "app" / "server" / "app.py").exists()


def test_a_log_that_breaks_off_does_not_end_the_run(submit: Submit, flwr: Path) -> None:
    submit(listed("running"), UNAVAILABLE, "", listed("running"), COMPLETED).follow(lambda: None)
    assert [line.split()[0] for line in (flwr / "calls").read_text().splitlines()] == [
        *("run", "list", "log", "list", "list", "list", "log", "list"),
    ]


def test_what_is_asked_is_the_newest_run_in_the_log(submit: Submit, tmp_path: Path, flwr: Path) -> None:
    (tmp_path / "log").write_text("Successfully started run 9999999\n")
    submit(COMPLETED).follow(lambda: None)
    assert "--run-id 1234567" in (flwr / "calls").read_text()


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (listed("finished:failed", "No heartbeat received from the task"), PartFailedError, "finished:failed: No hear"),
        (
            listed("finished:failed", "Server error '500 Internal Server Error' for url 'http://there:1/v1/runtime'"),
            PartFailedError,
            "the log of the SuperLink says why .after 'database is locked' give it",
        ),
        (listed("finished:stopped"), StopError, "the run was stopped by another command"),
        (
            listed("finished:failed", f"ServerApp failed with exception: {NeedsYouError('map: expected 3m')}"),
            StopError,
            "^map: expected 3m",
        ),
        (
            error("[code: 16] Run ID not found."),
            PartFailedError,
            "there:1 does not know the run any more: it was restarted",
        ),
    ],
)
def test_how_a_run_failed(submit: Submit, status: str, kind: type[PartFailedError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        submit(status).follow(lambda: None)
    assert type(caught.value) is kind


def test_a_superlink_that_stays_away_is_lost(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pps_qmix.runtime.submission, "_LOST_AFTER", 0.0)
    with pytest.raises(PartFailedError, match="the SuperLink at there:1 does not answer"):
        submit(UNAVAILABLE).follow(lambda: None)


def test_a_superlink_is_not_lost_when_it_is_first_asked_in_vain(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the log has streamed before: a busy machine answers late."""
    monkeypatch.setattr(pps_qmix.runtime.submission, "_LOST_AFTER", 0.2)
    streamed = iter([0.3])
    submit(UNAVAILABLE, COMPLETED).follow(lambda: time.sleep(next(streamed, 0.0)))


def test_a_run_that_flower_did_not_take(submit: Submit, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("Successfully started run 9999999\n")
    with pytest.raises(PartFailedError, match=r"Flower did not take the run[\s\S]*it is invalid"):
        submit(COMPLETED, taken="it is invalid\n").follow(lambda: None)


def test_what_is_called_meanwhile_may_end_it(submit: Submit) -> None:
    def look() -> None:
        raise PartFailedError("the SuperLink ended")

    with pytest.raises(PartFailedError, match="the SuperLink ended"):
        submit(COMPLETED).follow(look)


def test_a_run_that_has_begun_can_be_stopped(submit: Submit, flwr: Path) -> None:
    submission = submit(COMPLETED)
    submission.follow(lambda: None)
    submission.stop()
    assert (flwr / "calls").read_text().splitlines()[-1] == "stop 1234567 here"
