"""The dashboard: what it reads, what it refuses, and in a real browser beside a run that plays."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cli.main import main
from pps_qmix.configuration import default_config
from pps_qmix.dashboard.app import Dashboard
from pps_qmix.dashboard.recording import RecordingError, Recordings
from pps_qmix.dashboard.seats import Words, last_words, now_of, seat_states
from pps_qmix.dashboard.serving import LocalNames, is_local_name
from pps_qmix.status import FINISHED, RUNNING
from server.run_directory import RunDirectory, checkpoints_path, now_path
from server.settings import check_settings
from tests.cli.browser import Page
from tests.cli.experiment.small import round_row
from tests.cli.test_in_process import TINY
from tests.metrics_rows import evaluation_row
from tests.waiting import WAIT_LIMIT, wait_for

ROUND: dict[str, Any] = {
    **round_row(1, 5000, 60.0),
    "battles": 100,
    "win-rate": 0.25,
    "return": 5.0,
    "seats": {"0": {"battles": 100, "missed": 0, "loss": 0.5}, "1": {"battles": 90, "missed": 10, "loss": 0.25}},
    "shared": {"weight/0": 0.625, "weight/1": 0.375},
    "missing": [2],
    "rejected": {"3": "a <b>reason</b>"},
}


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    """A run with one round of three seats, of which one is missing and one left out."""
    found = RunDirectory.create(check_settings({**default_config(), "runs": str(tmp_path / "runs"), "run": "mine"}))
    found.append(evaluation_row(4000, 8), ROUND)
    return found


@pytest.fixture
def client(directory: RunDirectory) -> Iterator[TestClient]:
    with Recordings() as recordings:
        yield TestClient(Dashboard(directory.path.parent, recordings, lambda: False).app())


# --- what it reads --------------------------------------------------------------------------------------------


def test_seats_are_those_that_anything_tells_of() -> None:
    words = {"seat-4": Words("connected", 1.0), "envproxy": Words("serves", 2.0)}
    found = {each.seat: each for each in seat_states(RUNNING, {"round": 2, "steps": 5000}, [ROUND], words)}
    assert {seat: each.state for seat, each in found.items()} == {
        0: "plays round 2",
        1: "plays round 2",
        2: "missing in round 1",
        3: "left out of round 1: a <b>reason</b>",
        4: "plays round 2",
    }
    assert (found[1].report["missed"], found[1].weight, found[1].words) == (10, 0.375, None)
    assert (found[4].report, found[4].weight, found[4].words) == ({}, None, words["seat-4"])


def test_seats_before_the_first_round_and_after_the_last_one() -> None:
    assert [(each.seat, each.state) for each in seat_states(RUNNING, {"waiting-for": [1]}, [], {})] == [
        (1, "waited for")
    ]
    whole = {**ROUND, "missing": [], "rejected": {}}
    assert {each.state for each in seat_states(FINISHED, {"round": 1}, [whole], {})} == {FINISHED}


def test_seats_of_several_teams_are_in_order_of_the_teams() -> None:
    several = {
        **ROUND,
        "seats": {"10:0": {}, "2:1": {}},
        "missing": ["2:0"],
        "rejected": {},
        "shared": {"weight/2:1": 0.5},
    }
    found = list(seat_states(RUNNING, {"waiting-for": [21]}, [several], {}))
    assert [(each.team, each.seat, each.weight) for each in found] == [
        (2, 0, None), (2, 1, 0.5), (10, 0, None), (10, 1, None)
    ]  # fmt: skip
    assert [each.state for each in found] == ["missing in round 1", "ready", "ready", "waited for"]


def test_last_words_are_the_last_line_that_says_something(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "seat-0.log").write_bytes(
        b"first\n" * 5000 + b"\x1b[32mINFO\x1b[0m : \xff last \nINFO :      \n\n"
    )
    (tmp_path / "logs" / "empty.log").touch()
    assert {name: each.text for name, each in last_words(tmp_path).items()} == {"seat-0": "INFO : \ufffd last"}
    assert last_words(tmp_path / "nothing") == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_what_a_run_is_at_may_be_unreadable(tmp_path: Path, text: str) -> None:
    now_path(tmp_path).write_text(text)
    assert now_of(tmp_path) == {}


# --- what it answers ------------------------------------------------------------------------------------------


def test_the_page_of_a_run_shows_rounds_seats_and_weights(client: TestClient) -> None:
    text = client.get("/runs/mine/").text
    for words in (
        "3m, RS-PPS on VDN, 4 agents, seed 0",
        "of 1,000,000, in 1 round<",
        "5,000 of 1,000,000 steps",
        '<th scope="row">Seat 1</th><td>stopped</td><td>90</td><td>10</td><td>0.25</td><td>0.375</td>',
        "left out of round 1: a &lt;b&gt;reason&lt;/b&gt;",
        "Newest rounds",
        "Aggregation weights",
        "60.0 s",
    ):
        assert words in text, words


def test_the_first_page_is_there_before_any_run(tmp_path: Path) -> None:
    with Recordings() as recordings:
        client = TestClient(Dashboard(tmp_path / "none", recordings, lambda: False).app())
        assert "No run has begun here" in client.get("/").text


@pytest.mark.parametrize("name", ["a & <b>", os.fsdecode(b"\xff"), "two\nlines", "50 % ?#"])
def test_a_run_of_any_name_is_listed(client: TestClient, directory: RunDirectory, name: str) -> None:
    directory.path.rename(directory.path.with_name(name))
    text = client.get("/").text
    assert "1 run, 0 playing" in text
    assert "<b>" not in text
    link = re.search(r'href="(/runs/[^"]+)"', text)
    assert link is not None
    assert client.get(link[1]).status_code == (404 if "\udcff" in name else 200)


@pytest.mark.parametrize(
    "path",
    [
        "/runs/other/",
        "/runs/..%2Fruns%2Fmine/",
        "/runs/mine/run.json",
        "/runs/mine/checkpoints",
        "/runs/mine/..%2F..%2Fsecret.html",
        "/runs/mine/watch.html",
        "/runs/mine/battles/round-000001",
        "/runs/mine/battles/..%2Fx",
    ],
)
def test_nothing_but_the_pages_of_runs_is_served(client: TestClient, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.html").write_text("secret")
    assert client.get(path).status_code == 404


def test_pages_of_a_run_are_served_and_load_nothing_from_elsewhere(client: TestClient, directory: RunDirectory) -> None:
    (directory.path / "report.html").write_text("<p>the report</p>")
    answer = client.get("/runs/mine/report.html")
    assert answer.text == "<p>the report</p>"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert client.post("/runs/mine/").status_code == 405


def test_a_run_that_cannot_be_shown_is_said(client: TestClient, directory: RunDirectory) -> None:
    client.get("/runs/mine/")
    (directory.path / "metrics.jsonl").write_text(json.dumps({"kind": "round", "round": 1, "steps": "few"}) + "\n")
    assert "This run cannot be shown" in client.get("/runs/mine/").text
    assert "broken" in client.get("/").text


def test_a_stream_has_all_parts_first_and_ends_with_the_server(directory: RunDirectory) -> None:
    looks = iter([False, *[True] * 100])
    with Recordings() as recordings:
        client = TestClient(Dashboard(directory.path.parent, recordings, lambda: next(looks)).app())
        (event,) = client.get("/events").text.strip().split("\n\n")
    assert json.loads(event.removeprefix("data: ")).keys() == {"count", "curves", "runs"}


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1:8050", True),
        ("localhost", True),
        ("localhost:1", True),
        ("[::1]:8050", True),
        ("[::1]", True),
        ("", False),
        ("example.org:8050", False),
        ("localhost.example.org", False),
        ("10.0.0.1", False),
    ],
)
def test_names_of_this_machine(host: str, local: bool) -> None:
    assert is_local_name(host) is local


def test_a_page_of_the_web_reads_nothing(directory: RunDirectory) -> None:
    with Recordings() as recordings:
        app = LocalNames(Dashboard(directory.path.parent, recordings, lambda: False).app())
        assert TestClient(app, base_url="http://example.org").get("/").status_code == 421
        assert TestClient(app, base_url="http://127.0.0.1").get("/").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["runs/mine"], "pps-qmix: runs: expected the folder of the runs, found a run; name "),
        (["file"], "pps-qmix: runs: expected a folder, found the file file"),
        (["--host", "no.such.host.invalid"], "pps-qmix: cannot listen on no.such.host.invalid"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    directory: RunDirectory,
    surroundings: None,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    Path("file").touch()
    assert main(["dashboard", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1


# --- beside a run ---------------------------------------------------------------------------------------------


@contextmanager
def command(*arguments: str, home: Path) -> Iterator[subprocess.Popen[str]]:
    """A `pps-qmix` of its own; it is interrupted at the end, and must end."""
    environment = {**os.environ, "PPS_HOME": str(home), "PYTHONUNBUFFERED": "1", "COLUMNS": "300"}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "pps_qmix_command", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=WAIT_LIMIT)


@pytest.mark.long(60)
def test_the_dashboard_follows_a_run_that_plays_stops_and_resumes(tmp_path: Path) -> None:
    runs, home = tmp_path / "runs", tmp_path / "home"
    flags = [f"--{name}={value}" for name, value in {**TINY, "total-steps": 10**7}.items()]
    train = ["train", "--runtime", "in-process", "--map", "3m", "--runs", str(runs), "--run", "mine", *flags]
    with (
        Page(tmp_path / "browser") as page,
        command("dashboard", str(runs), "--port", "0", home=home) as dashboard,
    ):
        assert dashboard.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+/", dashboard.stdout.readline())
        assert address is not None
        page.screen(1400, 1000, dark=True)
        page.open(address[0])
        assert "No run has begun here" in page.text("#curves")
        with command(*train, home=home):
            wait_for(lambda: page.text("#count") == "1 run, 1 playing", "the run on the page")
            page.click_on("#runs a")
            wait_for(lambda: page.run("document.querySelectorAll('#rounds tbody tr').length") >= 2, "two rounds")
            assert page.text("#now").startswith("running")
            assert "Seat 2" in page.text("#seats")
            page.click_on("#recorded a")
            wait_for(
                lambda: page.run("document.getElementById('battles').contentDocument?.title") or "", "recorded battles"
            )
            shown = page.run("document.getElementById('battles').contentDocument.title")
            assert re.fullmatch(r"3m, run mine after [\d,]+ steps", shown)
        wait_for(lambda: page.text("#now").startswith("stopped"), "the end of the command")
        with command("train", "--resume", str(runs / "mine"), home=home):
            wait_for(lambda: page.text("#now").startswith("running"), "the resumed run")
        assert page.troubles == []


def test_a_recording_that_fails_says_why(tmp_path: Path, directory: RunDirectory) -> None:
    async def record() -> None:
        with Recordings() as recordings:
            await recordings.page(directory.path, checkpoints_path(directory.path))

    with pytest.raises(RecordingError, match="has no checkpoint yet"):
        asyncio.run(record())
