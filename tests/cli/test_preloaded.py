"""A device's commands in forks of one process that has loaded Flower and PyTorch, and without such a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pps_qmix.runtime.processes import free_ports
from tests.waiting import WAIT_LIMIT, wait_for

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
    """Start a shell script as `pps-qmix agent` starts a SuperNode, in the folder tmp_path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PPS_HOME": str(home)}
    environment |= {"FLWR_HOME": str(home / "flower"), "FLWR_TELEMETRY_ENABLED": "0"}
    started: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-P",
            "-m",
            "pps_qmix.runtime.preloaded.supernode",
            str(home / "preloaded.sock"),
            "sh",
            "-c",
            script,
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=tmp_path, env=environment, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    for each in processes(home):
        each.kill()


def processes(home: Path, *words: str) -> list[psutil.Process]:
    """Return those with this PPS_HOME whose command lines have all these words."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        theirs = (process.info["environ"] or {}).get("PPS_HOME")
        line = " ".join(process.info["cmdline"] or [])
        if theirs == str(home) and process.info["status"] != psutil.STATUS_ZOMBIE and all(w in line for w in words):
            found.append(process)
    return found


def only(found: list[psutil.Process]) -> psutil.Process:
    (one,) = found
    return one


def test_a_command_has_the_files_the_folder_and_the_environment_of_its_caller(
    start: Start, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "token").touch()
    in_here = "(cd here; HOME=. flwr-clientapp --token-file '~/token' 2>../said 1>&2); "
    shell = start(f"flwr-clientapp --help; {in_here} exec sleep 600")
    said = tmp_path / "said"
    wait_for(lambda: said.exists() and "`--token-file` does not contain a token" in said.read_text(), "the refusal")
    assert shell.stdout is not None
    assert USAGE in shell.stdout.readline()
    wait_for(lambda: not processes(home, "flwr-clientapp --help"), "the forks' end")
    loaded = only(processes(home, "pps_qmix.runtime.preloaded.loaded"))
    assert loaded.ppid() == shell.pid
    shell.kill()
    wait_for(lambda: not processes(home), "its end")


def test_without_a_process_that_has_loaded_it_flowers_own_is_started(start: Start, home: Path, tmp_path: Path) -> None:
    shell = start("until [ -e go ]; do sleep 0.05; done; flwr-clientapp --help; echo ended with $?")
    wait_for((home / "preloaded.sock").exists, "its socket")
    only(processes(home, "pps_qmix.runtime.preloaded.loaded")).kill()
    (tmp_path / "go").touch()
    said, _ = shell.communicate(timeout=WAIT_LIMIT)
    assert USAGE in said
    assert said.endswith("ended with 0\n")


@pytest.mark.system
def test_a_forked_supernode_acts_like_a_child_and_survives_the_process_it_was_forked_from(
    start: Start, home: Path
) -> None:
    ports = free_ports(4)
    nodes = [f"flower-supernode --insecure --superlink 127.0.0.1:1 --port {port} 2>/dev/null & " for port in ports]
    shell = start(f"{' '.join(nodes)} wait $!; echo ended with $?; exec sleep 600")

    def node(port: int) -> psutil.Process:
        return only(processes(home, "bin/flower-supernode --insecure", f"--port {port}"))

    def superexec(port: int) -> list[psutil.Process]:
        return processes(home, "flower-superexec", f":{port}")

    wait_for(lambda: all(superexec(port) for port in ports), "SuperNodes with their SuperExecs")
    loaded = only(processes(home, "pps_qmix.runtime.preloaded.loaded"))
    assert {node(port).ppid() for port in ports} == {loaded.pid}
    assert {only(superexec(port)).ppid() for port in ports} == {loaded.pid}
    keepers = {port: only(processes(home, f"waits for {node(port).pid}")) for port in ports}

    # killed: who started it sees that
    node(ports[3]).kill()
    assert shell.stdout is not None
    assert shell.stdout.readline() == f"ended with {128 + signal.SIGKILL}\n"
    # told to end, it ends
    node_1 = node(ports[1])
    keepers[ports[1]].terminate()
    wait_for(lambda: not node_1.is_running(), "the end of the SuperNode that was told to")
    # who waits for it is killed: it ends
    node_2 = node(ports[2])
    keepers[ports[2]].kill()
    wait_for(lambda: not node_2.is_running(), "the end of the SuperNode that no process waits for")
    # what it was forked from is killed: it stays
    node_0 = node(ports[0])
    loaded.kill()
    wait_for(lambda: not processes(home, "pps_qmix.runtime.preloaded.loaded"), "the end of what they were forked from")
    assert superexec(ports[0])
    node_0.terminate()
    wait_for(lambda: not node_0.is_running() and not processes(home, "flower"), "the end of the last")
