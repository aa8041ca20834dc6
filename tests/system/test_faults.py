"""A killed agent process, a killed SuperNode: the run continues, the seat returns with its buffer."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.system.conftest import agents, processes, rounds
from tests.waiting import WAIT_LIMIT, wait_for

RUN = "faults"


@pytest.mark.long(60)
def test_a_run_survives_a_killed_agent_process_and_a_killed_supernode(
    train: Callable[..., subprocess.Popen[str]], tmp_path: Path, home: Path
) -> None:
    run = tmp_path / RUN
    # rounds of some seconds, so that there is a middle to kill in
    process = train(
        RUN,
        strategy="rs-pps",
        total_steps=11000,
        aggregation_every=60,
        evaluate_every=5000,
        buffer_size=5000,
        seat_timeout=240.0,  # longer than an agent takes to start: else the others may end the round without it
    )

    # an agent process, in the middle of round 2
    wait_for(lambda: len(rounds(run)) >= 1, "round 1")
    wait_for(lambda: buffered(home / RUN, 1) > seat(rounds(run)[0], 1)["buffered"] + 5, "battles of round 2")
    (agent,) = agents(tmp_path, seat=1)
    agent.send_signal(signal.SIGKILL)
    wait_for(lambda: [p for p in agents(tmp_path, seat=1) if p.pid != agent.pid], "a new agent")

    # a SuperNode, in the middle of the round after that
    wait_for(lambda: len(rounds(run)) >= 2, "round 2")
    wait_for(lambda: buffered(home / RUN, 2) > seat(rounds(run)[1], 2)["buffered"] + 5, "battles of round 3")
    (node,) = processes("flower-supernode", f"{run}/flower/tokens", "seat=2")
    node.send_signal(signal.SIGKILL)

    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 0, output
    assert "the SuperNode of seat 2 ended" in output
    played = rounds(run)
    assert played[-1]["steps"] >= 11000
    # the killed agent came back within its round: it reports it, with all battles of the rounds before and new ones
    assert seat(played[1], 1)["buffered"] > seat(played[0], 1)["buffered"]
    # the seat of the killed SuperNode came back, and began from what it had kept
    kept = seat(played[1], 2)["buffered"]
    after = [row for row in played[2:] if "2" in row["seats"]]
    assert after, "seat 2 never came back"
    assert seat(after[0], 2)["buffered"] > kept
    # the other seats took part in all rounds
    assert all({"0", "1"} <= row["seats"].keys() for row in played[2:])
    assert not agents(tmp_path)
    assert not processes(f"{run}/flower/tokens")


def seat(row: dict[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = row["seats"][str(number)]
    return found


def buffered(devices: Path, number: int) -> int:
    """Count the battles in a seat's buffer files of the run of a name, as they stand on disk now."""
    files = devices.glob(f"*/seat-{number}/buffer/lengths.npy")
    return sum(int(np.count_nonzero(np.load(path, mmap_mode="r"))) for path in files)
