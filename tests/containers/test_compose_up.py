"""`docker compose up` for real: image, containers, a run to its result, an agent that dies on the way, nothing left.

`make test-containers` runs it. Flags that building the image needs here are in $BUILD_FLAGS.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
PROJECT = f"pps-qmix-test-{os.getpid()}"
OWNER = 12345 if os.geteuid() == 0 else os.geteuid()  # of ./runs, if we may choose
TINY = "--batch-size 4 --buffer-size 200 --aggregation-every 10 --train-per-battle 0.5 --evaluate-battles 4 --hidden 16"


def docker(*words: str, check: bool = True, **environment: str) -> str:
    done = subprocess.run(
        ["docker", *words],
        cwd=ROOT, env={**os.environ, **environment}, check=False, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done.stdout.strip()


def compose(*words: str, **environment: str) -> str:
    return docker("compose", "--project-name", PROJECT, *words, **environment)


def wait_for(condition: Callable[[], Any], what: str, limit: float = 400.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit:.0f} s for {what}"
        time.sleep(1.0)


def exit_code(service: str) -> int:
    """Wait until a service has ended."""
    return int(docker("wait", compose("ps", "--all", "--quiet", service)))


def left_behind() -> list[str]:
    label = ("--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")
    found = [docker("ps", "--all", *label), *(docker(kind, "ls", *label) for kind in ("volume", "network"))]
    return [line for each in found for line in each.splitlines()]


@pytest.fixture(scope="module")
def _image() -> None:
    try:
        said = docker("compose", "version", check=False) and docker("info", check=False)
    except FileNotFoundError:
        said = ""
    if "Server Version" not in said:
        pytest.skip("containers are not tested: there is no `docker compose`, or no Docker engine answers it")
    subprocess.run(["make", "image"], cwd=ROOT, check=True)


@pytest.fixture
def runs(_image: None, tmp_path: Path) -> Iterator[Path]:
    """A folder for results, somebody's; afterwards nothing may be left of the containers."""
    folder = tmp_path / "runs"
    folder.mkdir()
    os.chown(folder, OWNER, -1)
    yield folder
    compose("down", "--volumes", RUNS=str(folder))
    assert left_behind() == []


def rows(runs: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in runs.glob("*/metrics.jsonl") for line in path.read_text().splitlines()]


def test_a_run_comes_to_its_result_though_an_agent_dies(runs: Path) -> None:
    settings = {"BATTLES": "4", "STEPS": "3000", "STRATEGY": "a-pps", "RUNS": str(runs), "SETTINGS": TINY}
    compose("up", "--detach", **settings)
    agents = compose("ps", "--quiet", "agent").splitlines()
    assert len(agents) == 3
    wait_for(lambda: any(row["kind"] == "round" for row in rows(runs)), "the first round")
    docker("exec", agents[1], "sh", "-c", "kill -9 -1", check=False)  # all but the init, which then ends
    wait_for(lambda: docker("inspect", "--format", "{{.RestartCount}}", agents[1]) == "1", "the agent's restart")
    assert exit_code("experiment") == 0, compose("logs")
    found = rows(runs)
    assert max(row["steps"] for row in found) >= 3000
    assert any(row["kind"] == "evaluation" for row in found)
    assert {path.stat().st_uid for path in runs.rglob("*")} == {OWNER}
    said = compose("logs", "experiment")
    assert "win-rate" in said or "win rate" in said


def test_a_run_that_cannot_begin_fails(runs: Path) -> None:
    compose("up", "--detach", BATTLES="4", RUNS=str(runs), SETTINGS="--battles 8")
    assert exit_code("experiment") == 1
    assert "the run wants battles 8" in compose("logs", "experiment")
