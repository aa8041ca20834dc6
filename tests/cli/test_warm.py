"""ClientApps that start at once: what a SuperNode finds as `flwr-clientapp`, with and without somebody who waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
USAGE = "usage: flwr-clientapp"  # of Flower's own
Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder whose name is too long for the path of a socket."""
    path = tmp_path / ("long" * 30)
    path.mkdir()
    return path


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a shell script as `pps-qmix train` starts a SuperNode, in the folder tmp_path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    started: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "cli.warm.supernode", str(home / "clientapp.sock"), "sh", "-c", script]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=tmp_path, env=environment, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if processes(home):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def processes(home: Path) -> list[psutil.Process]:
    """Those that wait at the home's socket, and their forks."""
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if {"cli.warm.clientapps", str(home / "clientapp.sock")} <= set(p.info["cmdline"] or [])]


WARM = 'while ! [ -S "$PPS_CLIENTAPP_SOCKET" ]; do sleep 0.05; done; '


def test_it_runs_flowers_command_in_forks_of_a_child_of_the_supernode(start: Start, home: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "token").touch()
    # with the files, the folder and the environment of the caller
    in_here = "(cd here; HOME=. flwr-clientapp --token-file '~/token' 2>../said 1>&2); "
    shell = start(f"{WARM}flwr-clientapp --help; {in_here} exec sleep 60")
    said = tmp_path / "said"
    wait_for(lambda: said.exists() and "`--token-file` does not contain a token" in said.read_text(), "the refusal", 60)
    assert shell.stdout is not None
    assert USAGE in shell.stdout.readline()
    wait_for(lambda: len(processes(home)) == 1, "the forks' end", 60)
    (waiting,) = processes(home)
    assert waiting.ppid() == shell.pid  # so an agent process finds its SuperNode among its ancestors
    shell.kill()
    wait_for(lambda: not processes(home), "its end", 60)


def test_without_anybody_who_waits_flowers_own_is_started(start: Start, home: Path, tmp_path: Path) -> None:
    shell = start(WARM + "until [ -e go ]; do sleep 0.05; done; flwr-clientapp --help; echo ended with $?")
    wait_for((home / "clientapp.sock").exists, "its socket", 60)
    (waiting,) = processes(home)
    waiting.kill()
    (tmp_path / "go").touch()
    said, _ = shell.communicate(timeout=120)
    assert USAGE in said
    assert said.endswith("ended with 0\n")
