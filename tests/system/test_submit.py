"""`pps-qmix submit` on a federation that stays: a killed ServerApp, a full disk, a user who ends it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from server.checkpoints import newest_checkpoint_steps, whole_checkpoints
from tests.disks import fill, small_disk
from tests.system.conftest import TINY, flags, processes, rounds
from tests.system.federation import Federation
from tests.system.preloaded import Preloaded
from tests.waiting import WAIT_LIMIT, wait_for


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory, preloaded: Preloaded) -> Iterator[Federation]:
    folder = tmp_path_factory.mktemp("s")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PPS_HOME", str(folder / "h"))
        federation = Federation(folder, preloaded=preloaded)
        yield federation
        federation.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4) as path:
        yield path


def new(runs: Path, name: str, total_steps: int) -> list[str]:
    return flags({**TINY, "runs": runs, "run": name, "total-steps": total_steps})


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.long(120)
def test_a_killed_serverapp_costs_the_round_that_was_on(federation: Federation, tmp_path: Path) -> None:
    run = tmp_path / "killed"
    process = federation.submit(*new(tmp_path, "killed", 4000))
    wait_for(lambda: len(whole_checkpoints(run)) >= 2, "round 2")
    (serverapp,) = processes("flwr-serverapp", "--parent-pid", str(federation.superexec()))
    serverapp.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: ended(serverapp), "the end of the ServerApp")
    reached = newest_checkpoint_steps(run)  # a round's row is written before its checkpoint: it may have one too many
    before = [row for row in rounds(run) if row["steps"] <= reached]
    wait_for(lambda: newest_checkpoint_steps(run) > reached, "a round of the resumed run")
    print(f"a killed ServerApp: the next round after {time.monotonic() - killed:.0f} s")
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 0, output
    (line,) = [line for line in output.splitlines() if "resuming" in line]
    assert "No heartbeat received" in line
    assert f"from step {reached:,} in 2 s (retry 1 of 5)" in line
    after = rounds(run)
    assert after[: len(before)] == before
    assert [row["round"] for row in after] == list(range(1, len(after) + 1))
    assert after[-1]["steps"] >= 4000


@pytest.mark.long(50)
def test_a_full_disk_ends_the_run_and_it_resumes_when_there_is_room(federation: Federation, disk: Path) -> None:
    run = disk / "full"
    process = federation.submit(*new(disk, "full", 100_000))
    wait_for(lambda: rounds(run), "round 1")
    filler = fill(disk)
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 1, output
    assert "resuming" not in output  # there is still no room: no retry
    assert "No space left on device" in output.splitlines()[-1]
    assert "--resume" in output.splitlines()[-1]
    whole = rounds(run)

    filler.unlink()
    total = str(whole[-1]["steps"] + 200)
    resumed = federation.submit("--resume", str(run), "--total-steps", total)
    output, _ = resumed.communicate(timeout=WAIT_LIMIT)
    assert resumed.returncode == 0, output
    after = rounds(run)
    assert [row["round"] for row in after] == list(range(1, len(after) + 1))
    assert after[-1]["steps"] >= int(total)


def test_an_interrupt_stops_the_run_where_it_is_played(federation: Federation, tmp_path: Path) -> None:
    process = federation.submit(*new(tmp_path, "cut", 100_000))
    wait_for((tmp_path / "cut" / "run.json").exists, "the ServerApp")
    superexec = str(federation.superexec())
    assert processes("flwr-serverapp", superexec)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 130, output
    assert f"cut was stopped at step 0 of 100,000; resume it with --resume {tmp_path / 'cut'}" in output
    wait_for(lambda: not processes("flwr-serverapp", superexec), "the end of the ServerApp")
