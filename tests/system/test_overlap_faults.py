"""Faults while devices play ahead of the server: a killed agent process, a killed ServerApp. The run ends."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.system.conftest import agents, rounds
from tests.system.test_faults import seat
from tests.waiting import WAIT_LIMIT, wait_for

RUN = "ahead"


@pytest.mark.long(150)
def test_a_run_with_overlap_survives_a_killed_agent_process_and_a_killed_serverapp(
    train: Callable[..., subprocess.Popen[str]], tmp_path: Path, home: Path
) -> None:
    run = tmp_path / RUN
    process = train(
        RUN,
        total_steps=6000,
        aggregation_every=20,
        overlap=15,
        evaluate_every=5000,
        seat_timeout=240.0,
        strategy="rs-pps",
    )

    # An agent process that has sent its weights of round 1; the message of round 2 reaches it some seconds later.
    wait_for(lambda: len(rounds(run)) >= 1, "round 1")
    (agent,) = agents(tmp_path, seat=1)
    agent.send_signal(signal.SIGKILL)
    wait_for(lambda: len(rounds(run)) >= 2, "round 2")
    back = rounds(run)[1]
    assert back["seats"].keys() == {"0", "1", "2"}
    assert seat(back, 1)["buffered"] > seat(rounds(run)[0], 1)["buffered"]

    wait_for(lambda: len(rounds(run)) >= 3, "round 3")
    (superlink,) = [
        each for each in psutil.Process(process.pid).children() if "flower-superlink" in " ".join(each.cmdline())
    ]
    (serverapp,) = [each for each in superlink.children(recursive=True) if "serverapp" in " ".join(each.cmdline())]
    serverapp.send_signal(signal.SIGKILL)

    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert "retry 1 of 5" in output
    played = rounds(run)
    assert [row["round"] for row in played] == list(range(1, len(played) + 1))
    assert played[-1]["steps"] >= 6000
    assert all(row["seats"].keys() == {"0", "1", "2"} for row in played)
    assert not agents(tmp_path)
