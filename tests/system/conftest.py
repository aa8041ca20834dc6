"""Real processes for real things: the command, a SuperLink, SuperNodes, an env proxy, agent processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.preloaded import Preloaded
from tests.waiting import WAIT_LIMIT

# A shell that starts the tests in the background makes them ignore interrupts, and nohup hang-ups; and all that they
# start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Three agents, a few battles a round: the smallest run that learns, shares and evaluates.
TINY = {
    "map": "3m",
    "battles": 4,
    "batch-size": 4,
    "buffer-size": 200,
    "aggregation-every": 10,
    "train-per-battle": 0.5,
    "evaluate-every": 400,
    "evaluate-battles": 4,
    "hidden": 16,
}


def flags(settings: dict[str, Any]) -> list[str]:
    """Return settings as flags of `pps-qmix train`."""
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def rows(run: Path) -> list[dict[str, Any]]:
    """Return the whole rows of a run's metrics so far."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def rounds(run: Path) -> list[dict[str, Any]]:
    return [row for row in rows(run) if row["kind"] == "round"]


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something took: docs/failures.md has it."""
    began, load = time.monotonic(), os.getloadavg()[0]
    yield
    print(f"{what}: {time.monotonic() - began:.0f} s (load {load:.0f})")


def processes(*words: str) -> list[psutil.Process]:
    """Return the processes whose command line has all `words`: numbers as arguments, others as parts of arguments."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        line = "\0".join(arguments)
        if all(word in arguments if word.isdecimal() else word in line for word in words):  # a port has a pid's digits
            found.append(process)
    return found


def agents(folder: Path, seat: int | None = None) -> list[psutil.Process]:
    """Return the agent processes with tokens in a test's folder, or that of one seat.

    Never by the name of their run: a test that runs at the same time may have a run of that name, too.
    """
    of_seat = () if seat is None else (f"\0--seat\0{seat}\0",)
    return processes("client.resident", f"{folder}/", *of_seat)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PPS_HOME of the test's own."""
    path = tmp_path / "h"
    monkeypatch.setenv("PPS_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    made = Preloaded(tmp_path_factory.mktemp("p"))
    yield made
    made.close()


@pytest.fixture
def train(tmp_path: Path, home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `pps-qmix train` with the tiny settings; ended, with all it started, when the test is over."""
    started = []

    def start(run: str, *arguments: str, **settings: Any) -> subprocess.Popen[str]:
        named = {**TINY, **{name.replace("_", "-"): value for name, value in settings.items()}}
        command = [sys.executable, "-m", "cli.main", "train", "--runs", str(tmp_path), "--run", run]
        process = subprocess.Popen(
            [*command, *flags(named), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ.copy(),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(WAIT_LIMIT)
