"""`docker compose up` for real: image, containers, a run to its result, an agent that dies on the way, nothing left.

`make test-containers` runs it. Flags that building the images needs here are in $BUILD_FLAGS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from envproxy.backend import map_names
from server.run_directory import is_held
from tests.containers.conftest import OWNER, TINY, Stack, docker
from tests.waiting import wait_for

pytestmark = pytest.mark.containers

BATTLE = """
import json
import numpy as np
from envproxy.backend import create_backend
from envproxy.backends.skirmish.engine import play_step
battle = create_backend("skirmish", "3m", 1)
battle.reset(np.ones(1, bool), np.ones(1, np.uint64))
battle.step(battle.observe().available.argmax(-1).astype(np.uint8))
found = play_step.stats
print(json.dumps({"loaded": sum(found.cache_hits.values()), "compiled": sum(found.cache_misses.values())}))
"""

# Becomes ready as another user would have it, in a new volume.
ENVPROXY = """
pps-qmix envproxy --listen 127.0.0.1:50551 --map 3m >/tmp/log 2>&1 &
for _ in $(seq 300); do
    if [ -e /state/tokens/main/seat-2.token ] && (exec 3<> /dev/tcp/127.0.0.1/50551) 2>/dev/null; then
        echo '{"ready": true}'; exit
    fi
    kill -0 $! || { cat /tmp/log; exit 1; }
    sleep 0.2
done
"""


@pytest.fixture
def stack(runs: Path) -> Iterator[Stack]:
    """Afterwards nothing may be left of the containers."""
    made = Stack(runs, "compose.yaml")
    yield made
    made.compose("down", "--volumes")
    assert made.left_behind() == []


def test_a_run_finishes_although_an_agent_is_killed(stack: Stack, runs: Path) -> None:
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


def test_one_run_after_another(stack: Stack, runs: Path) -> None:
    """A second `up` ends the run that is on, and says so; `stop` ends it though the owner of `runs` is not root."""

    def begin(strategy: str) -> None:
        stack.compose("up", "--detach", "experiment", BATTLES="4", STEPS="500000", STRATEGY=strategy, SETTINGS=TINY)
        begun = f"*-{strategy}-*/metrics.jsonl"
        wait_for(lambda: any(path.stat().st_size for path in runs.glob(begun)), "the first round", 400, every=1)

    begin("a-pps")
    begin("rs-pps")
    first, second = sorted((path.parent for path in runs.glob("*/run.json")), key=lambda path: path.stat().st_mtime)
    said = stack.compose("logs", "--no-log-prefix", "experiment").splitlines()
    (ended,) = [line for line in said if line.startswith(f"the run before, {first.name}, ended at step ")]
    assert f"MAP=3m BATTLES=4 SETTINGS='--resume {first.name}' docker compose up experiment" in ended
    assert "COMPOSE_PROJECT_NAME=OTHER" in ended
    assert not is_held(first)
    assert f"run {runs / second.name}" in "\n".join(said)  # as it is named on this machine
    assert "waiting: no device has answered yet" in said
    assert "round 1 begins at step 0" in said

    stack.compose("stop", "experiment")
    assert stack.exit_code("experiment") == 130
    *_, told, last = stack.compose("logs", "--no-log-prefix", "experiment").splitlines()
    assert told.startswith(f"{second.name} was stopped at step ")
    assert last == "pps-qmix: interrupted; everything it started has ended"
    assert not is_held(second)
    stack.compose("stop", "superexec")
    assert stack.exit_code("superexec") != 137  # it was not killed

    stack.compose("up", "--detach", "experiment", BATTLES="5000")
    assert stack.exit_code("experiment") == 2
    *_, last = stack.compose("logs", "--no-log-prefix", "experiment").splitlines()
    assert last == "pps-qmix: battles: input should be less than or equal to 1024, found 5000"


def test_a_wrong_map_is_told_with_those_that_there_are(stack: Stack) -> None:
    said = stack.compose("up", "--detach", check=False, MAP="3mm")
    assert said.endswith(f"unknown map 3mm; expected MAP to be one of {', '.join(sorted(map_names('skirmish')))}")
    assert stack.left_behind() == []


@pytest.mark.usefixtures("_image")
def test_the_simulator_is_compiled_for_any_user_of_a_filesystem_that_cannot_be_written() -> None:
    words = ("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--user", "54321")
    done = docker(*words, "pps-qmix", "env", "--unset", "HOME", "python", "-c", BATTLE)
    assert json.loads(done.stdout) == {"loaded": 1, "compiled": 0}
    assert done.stderr == ""
    done = docker(*words, "--volume", "/state", "pps-qmix", "bash", "-c", ENVPROXY)
    assert json.loads(done.stdout)["ready"] is True, done.stdout + done.stderr


def test_a_run_that_cannot_begin_fails(stack: Stack) -> None:
    stack.compose("up", "--detach", BATTLES="4", SETTINGS="--battles 8")
    assert stack.exit_code("experiment") == 1
    assert "the run wants battles 8" in stack.compose("logs", "experiment")
