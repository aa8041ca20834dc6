"""A Docker engine, the images, and one experiment in containers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OWNER = 12345 if os.geteuid() == 0 else os.geteuid()  # of ./runs, if we may choose
TINY = "--batch-size 4 --buffer-size 200 --aggregation-every 10 --train-per-battle 0.5 --evaluate-battles 4 --hidden 16"


def docker(*words: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["docker", *words],
        cwd=ROOT, env={**os.environ, **environment}, check=False, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


class Stack:
    """The containers of one project, from some compose files, with results in `runs`."""

    def __init__(self, runs: Path, *files: str) -> None:
        self.project = f"pps-qmix-test-{os.getpid()}"
        self._runs = runs
        self.which = [word for file in files for word in ("--file", file)]

    def compose(self, *words: str, check: bool = True, **settings: str) -> str:
        """Return what a command has printed, on either stream if it may fail."""
        command = ("compose", "--project-name", self.project, *self.which, *words)
        done = docker(*command, check=check, RUNS=str(self._runs), **settings)
        said = done.stdout if check else done.stdout + done.stderr
        return said.replace("\x1b[2K", "").strip()  # with which compose begins each line of a log

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "--all", "--quiet", service).splitlines()

    def exit_code(self, service: str) -> int:
        """Wait until a service has ended."""
        (container,) = self.containers(service)
        return int(docker("wait", container).stdout)

    def rows(self) -> list[dict[str, Any]]:
        """Return the metrics of the run."""
        paths = self._runs.glob("*/metrics.jsonl")
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def left_behind(self) -> list[str]:
        label = ("--quiet", "--filter", f"label=com.docker.compose.project={self.project}")
        found = [docker("ps", "--all", *label), *(docker(kind, "ls", *label) for kind in ("volume", "network"))]
        return [line for each in found for line in each.stdout.splitlines()]


@pytest.fixture(scope="session")
def _image() -> None:
    try:
        said = docker("compose", "version", check=False).stdout and docker("info", check=False).stdout
    except FileNotFoundError:
        said = ""
    if "Server Version" not in said:
        pytest.skip("containers are not tested: there is no `docker compose`, or no Docker engine answers it")
    subprocess.run(["make", "image"], cwd=ROOT, check=True)


@pytest.fixture(scope="session")
def _nginx_image(_image: None) -> None:
    done = subprocess.run(["make", "nginx-image"], cwd=ROOT, check=False, text=True, capture_output=True)
    if "apt-get: not found" in done.stdout + done.stderr:
        pytest.skip(
            "compose.secure.yaml is not tested: the base image has neither nginx nor apt-get to install it with"
        )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def runs(_image: None, tmp_path: Path) -> Path:
    """A folder for results that belongs to another user."""
    folder = tmp_path / "runs"
    folder.mkdir()
    os.chown(folder, OWNER, -1)
    return folder
