"""What devices do to a run: gone for some rounds, of another protocol, too slow, out of disk. The others play on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from operations.protocol import PROTOCOL
from tests.disks import fill, small_disk
from tests.system.conftest import TINY, agents, flags, rounds, timed
from tests.system.federation import Federation
from tests.system.preloaded import Preloaded
from tests.system.test_faults import buffered, seat
from tests.waiting import WAIT_LIMIT, wait_for

RUN = "devices"
GONE, SLOW, FULL = 1, 2, 0  # the seats
ENDLESS = 10**9  # steps


@pytest.fixture
def federation(tmp_path: Path, home: Path, preloaded: Preloaded) -> Iterator[Federation]:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path / "d", 24))
        made = Federation(tmp_path, {FULL: disk}, seat_timeout=5.0, preloaded=preloaded)
        stack.callback(made.close)
        yield made


def round_where(
    run: Path, after: int, what: str, condition: Callable[[dict[str, Any]], bool], limit: float = WAIT_LIMIT
) -> dict[str, Any]:
    """Return the first round after that many of which `condition` is true."""
    found: dict[str, Any] = wait_for(lambda: next(filter(condition, rounds(run)[after:]), None), what, limit)
    return found


def of_another_protocol(folder: Path) -> dict[str, str]:
    """The environment of a device that has another protocol number."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text("import operations.protocol\noperations.protocol.PROTOCOL = 99\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.long(170)
def test_a_run_continues_without_a_device_and_includes_it_when_it_returns(
    federation: Federation, tmp_path: Path, home: Path
) -> None:
    run, runs = tmp_path / RUN, ["--runs", str(tmp_path)]
    settings = {**TINY, "run": RUN, "aggregation-every": 4, "total-steps": ENDLESS, "evaluate-every": ENDLESS}
    process = federation.submit(*runs, *flags(settings))
    first = round_where(run, 0, "a round of all", lambda row: len(row["seats"]) == 3)

    def held() -> int:
        return (tmp_path / "envproxy.log").read_text().count(f"seat {GONE} was silent for")

    # gone for three rounds; what comes first in its place is a device of another protocol
    federation.devices[GONE].end()
    with timed("a device that ends: the next round without it after"):
        without = round_where(run, len(rounds(run)), "a round without it", lambda row: "1" not in row["seats"])
    held_before = held()
    strange = federation.start_device(GONE, of_another_protocol(tmp_path / "other"), fork=False)
    refused = (
        f"the server speaks protocol {PROTOCOL} (pps-qmix {version('pps-qmix')}), the device of seat {GONE} speaks"
    )
    wait_for(lambda: refused in (run / "logs" / "run.log").read_text(), "the refusal")
    wait_for(lambda: rounds(run)[-1]["round"] >= without["round"] + 2, "three rounds without it")
    assert all(row["seats"].keys() == {"0", "2"} for row in rounds(run)[without["round"] - 1 :])
    assert held() == held_before  # the others wait once for a missing device
    strange.end()
    kept = buffered(home / RUN, GONE)
    federation.start_device(GONE)
    with timed("a device that comes back after three rounds: the first round with it after"):
        back = round_where(run, len(rounds(run)), "a round with it", lambda row: "1" in row["seats"])
    assert seat(back, GONE)["buffered"] > kept >= seat(first, GONE)["buffered"]

    # no room on its disk
    full = fill(tmp_path / "d")
    with timed("a full disk: the first round without the device after"):
        row = round_where(run, len(rounds(run)), "a round without it", lambda row: "0" not in row["seats"])
    assert "No space left on device" in row["rejected"]["0"]
    assert row["seats"].keys() == {"1", "2"}
    assert len(agents(tmp_path, FULL)) == 1  # it is still there
    full.unlink()
    with timed("room again: the first round with the device after"):
        round_where(run, len(rounds(run)), "a round with it", lambda row: "0" in row["seats"])
    process.send_signal(signal.SIGINT)
    with timed("an interrupt of submit: its end after"):
        process.communicate(timeout=WAIT_LIMIT)

    # a straggler; by earlier rounds on this machine no other device needs this long
    limit = max(30.0, 4.0 * max(row["seconds"]["round"] for row in rounds(run)[-3:]))
    process = federation.submit("--resume", str(run), "--round-timeout", str(limit))
    round_where(run, len(rounds(run)), "a round of all", lambda row: len(row["seats"]) == 3)
    (agent,) = agents(tmp_path, SLOW)
    agent.send_signal(signal.SIGSTOP)
    with timed(f"a straggler and a round-timeout of {limit:.0f} s: the next round without it after"):
        row = round_where(
            run, len(rounds(run)), "a round without it", lambda row: row["missing"] == [SLOW], limit + WAIT_LIMIT
        )
    with timed("the round after that"):
        row = round_where(run, row["round"], "another one", lambda row: True)
    assert row["seats"].keys() == {"0", "1"}
    assert row["seconds"]["round"] < limit  # the others wait for it once
    agent.send_signal(signal.SIGCONT)
    with timed("the straggler continues: the first round with it after"):
        round_where(run, len(rounds(run)), "a round with it", lambda row: "2" in row["seats"])
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert "Traceback" not in output
