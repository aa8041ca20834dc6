"""A SuperLink that keeps its state in a database is killed, and away for less and for more than Flower waits for it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pps_qmix.runtime.processes import Part
from server.checkpoints import newest_checkpoint_steps
from tests.system.conftest import TINY, flags, rounds, timed
from tests.system.federation import Federation
from tests.system.preloaded import Preloaded
from tests.waiting import WAIT_LIMIT, wait_for

WITHIN, AFTER = 5.0, 65.0  # seconds: Flower gives up a ServerApp or SuperNode that it has not heard of for a minute


@pytest.fixture
def federation(tmp_path: Path, home: Path, preloaded: Preloaded) -> Iterator[Federation]:
    federation = Federation(tmp_path, database=tmp_path / "state.db", preloaded=preloaded)
    yield federation
    federation.close()


@pytest.mark.long(200)
def test_a_run_continues_after_a_superlink_outage(federation: Federation, tmp_path: Path) -> None:
    run = tmp_path / "away"
    settings = {**TINY, "runs": tmp_path, "run": run.name, "total-steps": 10**6, "evaluate-every": 10**6}
    process = federation.submit(*flags(settings))
    try:
        wait_for(lambda: len(rounds(run)) >= 2, "round 2")
        for seconds in (WITHIN, AFTER):
            kept = take_away(federation.parts[0], seconds, run)
            with timed(f"a SuperLink that was away for {seconds:.0f} s: the next round after"):
                played = rounds_after(kept, run)
            assert played[: len(kept)] == kept
            assert [row["round"] for row in played] == list(range(1, len(played) + 1))
            assert played[-1]["missing"] == []
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 130, output


def take_away(superlink: Part, seconds: float, run: Path) -> list[dict[str, Any]]:
    """Kill the SuperLink and start it again after `seconds`; return the rounds that were finished."""
    superlink.kill()
    time.sleep(seconds)
    reached = newest_checkpoint_steps(run)  # a round's row is written before its checkpoint: it may have one too many
    superlink.restart()
    return [row for row in rounds(run) if row["steps"] <= reached]


def rounds_after(finished: list[dict[str, Any]], run: Path) -> list[dict[str, Any]]:
    """Wait for a round after those that were finished, with its checkpoint; return all."""
    reached = finished[-1]["steps"]
    wait_for(lambda: newest_checkpoint_steps(run) > reached, "the next round")
    return rounds(run)
