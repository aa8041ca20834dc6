"""Lines for people and lines for machines, from one process and from those it starts."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from cli.main import main
from operations import logs

_NAMES = ("", "one", "two")


@pytest.fixture(autouse=True)
def _loggers(monkeypatch: pytest.MonkeyPatch, surroundings: None) -> Iterator[None]:
    """Loggers as they were, and an environment that chooses nothing."""
    monkeypatch.setenv(logs.VARIABLE, "")
    before = [(each, each.handlers[:], each.level, each.propagate) for each in map(logging.getLogger, _NAMES)]
    yield
    for each, handlers, level, propagate in before:
        each.handlers, each.propagate = handlers, propagate
        each.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.choose("json")
    logs.set_up("one", seat=3, run="x")
    logging.getLogger("one.part").warning("seat %d\nis \u2028gone", 3, extra={"round": 7, "other": 1})
    (line,) = lines(capsys)
    said = datetime.fromisoformat(line.pop("time"))
    assert said.utcoffset() == timedelta(0)
    message = "seat 3\nis \u2028gone"
    assert line == {"level": "warning", "logger": "one.part", "message": message, "seat": 3, "run": "x", "round": 7}


def test_a_line_is_about_what_it_says_itself(capsys: pytest.CaptureFixture[str]) -> None:
    logs.choose("json")
    logs.set_up("one", seat=3)
    logging.getLogger("one").info("of another", extra={"seat": 4})
    assert [line["seat"] for line in lines(capsys)] == [4]


def test_a_stack_trace_is_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.choose("json")
    logs.set_up("one")
    try:
        raise ValueError("what")
    except ValueError:
        logging.getLogger("one").exception("it failed")
    (line,) = lines(capsys)
    assert line["level"] == "error"
    assert line["exception"].endswith("ValueError: what")


def test_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("one", seat=3, run="x")
    logs.set_up("two")
    logging.getLogger("one").info("taken")
    logging.getLogger("two").info("left", extra={"seat": 4})
    logging.getLogger("two").debug("too much")
    one, two = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO seat 3: taken", one)
    assert two.endswith(" INFO left")


def test_set_up_again_says_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("one")
    logs.choose("json")
    logs.set_up("one")
    logging.getLogger("one").info("once")
    assert [line["message"] for line in lines(capsys)] == ["once"]


def test_what_is_printed_becomes_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.choose("json")
    logs.set_up("one")
    stream = logs.LoggedLines(logging.getLogger("one"))
    for text in ("round", " 1: 100%\n\nround", " 2 \n", "not yet"):
        stream.write(text)
    assert [line["message"] for line in lines(capsys)] == ["round 1: 100%", "round 2"]


def test_a_started_process_logs_as_its_parent_does() -> None:
    program = "from operations import logs; import logging; logs.set_up(); logging.getLogger('x').info('here')"
    logs.choose("json")
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ}
    ).stderr
    assert json.loads(said)["message"] == "here"


@pytest.mark.parametrize("command", [["envproxy", "--listen", "x"], ["train", "--seed", "x"]])
def test_a_command_that_fails_says_so_in_the_chosen_format(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main(command) == 2
    text = capsys.readouterr().err
    assert text.startswith("pps-qmix: ")
    assert main([*command, "--log-format", "json"]) == 2
    (line,) = lines(capsys)
    assert (line["level"], line["logger"]) == ("error", "pps-qmix")
    assert f"pps-qmix: {line['message']}\n" == text
