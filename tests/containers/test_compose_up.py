"""`docker compose up` for real: image, containers, a run to its result, an agent that dies on the way, nothing left.

`make test-containers` runs it. Flags that building the images needs here are in $BUILD_FLAGS.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.conftest import OWNER, TINY, Stack, docker
from tests.waiting import wait_for

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]


@pytest.fixture
def stack(runs: Path) -> Iterator[Stack]:
    """Afterwards nothing may be left of the containers."""
    made = Stack(runs, "compose.yaml")
    yield made
    made.compose("down", "--volumes")
    assert made.left_behind() == []


def test_a_run_comes_to_its_result_though_an_agent_dies(stack: Stack, runs: Path) -> None:
    stack.compose("up", "--detach", BATTLES="4", STEPS="3000", STRATEGY="a-pps", SETTINGS=TINY)
    agents = stack.containers("agent")
    assert len(agents) == 3
    wait_for(lambda: any(row["kind"] == "round" for row in stack.rows()), "the first round", 400, every=1)
    docker("exec", agents[1], "sh", "-c", "kill -9 -1", check=False)  # all but the init, which then ends
    restarts = ("inspect", "--format", "{{.RestartCount}}", agents[1])
    wait_for(lambda: docker(*restarts).stdout.strip() == "1", "the agent's restart", 400, every=1)
    assert stack.exit_code("experiment") == 0, stack.compose("logs")
    assert max(row["steps"] for row in stack.rows()) >= 3000
    assert any(row["kind"] == "evaluation" for row in stack.rows())
    assert {path.stat().st_uid for path in runs.rglob("*")} == {OWNER}
    said = stack.compose("logs", "experiment")
    assert "win-rate" in said or "win rate" in said


def test_a_run_that_cannot_begin_fails(stack: Stack) -> None:
    stack.compose("up", "--detach", BATTLES="4", SETTINGS="--battles 8")
    assert stack.exit_code("experiment") == 1
    assert "the run wants battles 8" in stack.compose("logs", "experiment")
