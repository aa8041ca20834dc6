"""`pps-qmix train` while its parts are killed one after the other: the run comes to its end, with everything it had."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.system.conftest import agents, processes, rounds
from tests.system.test_faults import buffered, seat
from tests.waiting import WAIT_LIMIT, wait_for

Train = Callable[..., "subprocess.Popen[str]"]
RUN = "killed"


@pytest.mark.long(130)
def test_a_run_finishes_although_its_parts_are_killed(train: Train, tmp_path: Path, home: Path) -> None:
    run = tmp_path / RUN
    process = train(RUN, total_steps=5000, aggregation_every=20, evaluate_every=5000, buffer_size=5000)

    def in_the_middle_after(done: int) -> None:
        wait_for(lambda: len(rounds(run)) >= done, f"round {done}")
        before = seat(rounds(run)[-1], 1)["buffered"]
        wait_for(lambda: buffered(home / RUN, 1) > before + 5, "battles of the next round")

    in_the_middle_after(1)
    (proxy,) = processes("-m\0envproxy", f"{run}/flower")
    proxy.send_signal(signal.SIGKILL)

    in_the_middle_after(2)
    (loaded,) = processes("pps_qmix.runtime.preloaded.loaded", f"{run}/flower")
    loaded.send_signal(signal.SIGKILL)
    (clientapp,) = clientapps(run, 0)
    clientapp.send_signal(signal.SIGKILL)

    in_the_middle_after(3)
    before = rounds(run)
    (superlink,) = [
        each for each in psutil.Process(process.pid).children() if "flower-superlink" in " ".join(each.cmdline())
    ]
    its_own = superlink.children(recursive=True)
    assert len(its_own) == 2  # the SuperExec, which is in a session of its own, and the ServerApp
    superlink.send_signal(signal.SIGKILL)

    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    told = [line for line in output.splitlines() if "ended (exit code" in line]
    assert [line.split(" ended")[0] for line in told] == [
        "the env proxy",
        "the process that has loaded Flower for the devices",
        "the SuperLink",
    ]
    assert all(line.endswith("starting it again in 1 s") for line in told[:2])
    assert told[2].endswith(f"resuming from step {before[-1]['steps']:,} in 2 s (retry 1 of 5)")
    assert not [each for each in its_own if each.is_running()]
    assert not processes(f"{run}/flower")
    assert not agents(tmp_path)

    played = rounds(run)
    assert played[: len(before)] == before
    assert [row["round"] for row in played] == list(range(1, len(played) + 1))
    assert played[-1]["steps"] >= 5000
    # a new env proxy, and all were back within the round
    assert played[1]["seats"].keys() == {"0", "1", "2"}
    # the seat that lost its ClientApp may be missing from the round, although its agent has played it
    assert {"1", "2"} <= played[2]["seats"].keys()
    assert played[3]["seats"].keys() == {"0", "1", "2"}
    # and keeps its battles; in round 2 the killed env proxy may have told some seats of more of them than others
    kept = [seat(played[3], number)["buffered"] - seat(played[1], number)["buffered"] for number in range(3)]
    assert kept[0] == kept[1] == kept[2] > 0


def clientapps(run: Path, seat: int) -> list[psutil.Process]:
    """Return the ClientApps of a seat that are at work: they are told that its SuperExec is their parent."""
    (node,) = processes("bin/flower-supernode", f"{run}/flower/tokens", f"seat={seat}")
    (executor,) = processes("flower-superexec", str(node.pid))
    return processes("bin/flwr-clientapp", str(executor.pid))
