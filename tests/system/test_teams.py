"""Two teams on two devices: one team is late, one device is lost and comes back."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.system.conftest import TINY, flags, processes, rounds
from tests.system.federation import Federation
from tests.system.preloaded import Preloaded
from tests.waiting import WAIT_LIMIT, wait_for

ROOM, NAMED = 0, 1  # numbers of the devices: one has room for both teams, the user of the other has named team 1
TEAM_1 = ["1:0", "1:1", "1:2"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("h")


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory, home: Path, preloaded: Preloaded) -> Iterator[Federation]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PPS_HOME", str(home))
        held = ("capacity=6", f'members="{",".join(TEAM_1)}"')
        federation = Federation(tmp_path_factory.mktemp("t"), preloaded=preloaded, held=held, teams=2)
        yield federation
        federation.close()


@pytest.fixture
def submit(federation: Federation, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Submit a run that lasts until the test is over, in which it is stopped."""
    started = []

    def submit(name: str, **settings: Any) -> subprocess.Popen[str]:
        changed = {key.replace("_", "-"): value for key, value in settings.items()}
        fixed = {"runs": tmp_path, "run": name, "teams": 2, "total-steps": 100_000, "evaluate-every": 100_000}
        started.append(federation.submit(*flags({**TINY, "buffer-size": 1000, **fixed, **changed})))
        return started[-1]

    yield submit
    for process in started:
        process.terminate()
        process.communicate(timeout=WAIT_LIMIT)


def agent(federation: Federation, run: str, device: int) -> list[psutil.Process]:
    """Return the agent process of a device, if it runs."""
    return processes("client.resident", f"{federation.folder}/", f"\0--run\0{run}\0", f"\0--device\0{device}\0")


def buffered(home: Path, run: str, device: int) -> int:
    """Count the battles that the members of team 1 have in their buffers on a device."""
    files = home.glob(f"{run}/*/device-{device}/team-1-seat-*/buffer/lengths.npy")
    return sum(int(np.count_nonzero(np.load(path, mmap_mode="r"))) for path in files)


def of_team_1(row: dict[str, Any]) -> bool:
    return "1" in row["teams"]


@pytest.mark.long(60)
def test_a_quorum_aggregates_without_a_slow_team_and_takes_in_its_reply_later(
    submit: Callable[..., subprocess.Popen[str]], federation: Federation, tmp_path: Path, home: Path
) -> None:
    run = tmp_path / "quorum"
    submit("quorum", quorum=0.5, strategy="a-pps")
    wait_for(lambda: buffered(home, "quorum", NAMED) > 0, "battles of team 1")
    (slow,) = agent(federation, "quorum", NAMED)
    slow.send_signal(signal.SIGSTOP)
    try:
        without = wait_for(lambda: two_in_a_row_without_team_1(rounds(run)), "two aggregations without team 1")
    finally:
        slow.send_signal(signal.SIGCONT)
    late = wait_for(lambda: [row for row in rounds(run)[without:] if of_team_1(row)], "the reply of team 1")[0]
    assert late["seats"].keys() >= set(TEAM_1)
    assert late["shared"]["seats-late"] == 3
    assert late["shared"]["staleness"] >= 2
    assert late["rejected"] == {}
    assert all(row["shared"].get("seats-late", 0) == 0 for row in rounds(run)[without - 2 : without])
    assert all(row["missing"] == [] for row in rounds(run))


def two_in_a_row_without_team_1(found: list[dict[str, Any]]) -> int:
    """Return how many rounds have ended, if team 1 took part in neither of the newest two; else 0."""
    return len(found) if len(found) >= 2 and not any(map(of_team_1, found[-2:])) else 0


@pytest.mark.long(90)
def test_members_of_a_lost_device_are_given_to_another_and_taken_back(
    submit: Callable[..., subprocess.Popen[str]], federation: Federation, tmp_path: Path, home: Path
) -> None:
    run = tmp_path / "lost"
    submit("lost", device_grace=1.0, strategy="rs-pps")

    def log() -> str:
        return (run / "logs" / "run.log").read_text()

    first = wait_for(lambda: [row for row in rounds(run) if of_team_1(row)], "a round of both teams")[0]
    assert buffered(home, "lost", ROOM) == 0
    done = len(rounds(run))
    # An orderly end: of a SuperNode that is killed Flower says so after a minute, and the rest is the same.
    federation.devices[NAMED].end()
    wait_for(lambda: "team 1, seat 2 is given to node" in log(), "another device for team 1")
    assert log().count("and begins there with an empty buffer") == 3
    kept = buffered(home, "lost", NAMED)
    given = wait_for(lambda: [row for row in rounds(run)[done:] if begins_empty(row)], "its round there")[0]
    assert given["seats"].keys() >= set(TEAM_1)
    assert buffered(home, "lost", NAMED) == kept >= 3 * first["seats"]["1:0"]["buffered"]

    done = len(rounds(run))
    federation.devices[NAMED].restart()
    wait_for(lambda: log().count("takes the place of node") == 3, "the device whose user has named team 1")
    wait_for(lambda: buffered(home, "lost", NAMED) > kept, "battles on the device that came back")
    wait_for(lambda: [row for row in rounds(run)[done:] if continues(row, first)], "its round, from what it had kept")


def begins_empty(row: dict[str, Any]) -> bool:
    """Whether team 1 has no other battles in its buffers than those of the round."""
    return of_team_1(row) and all(
        row["seats"][member]["buffered"] == row["seats"][member]["battles"] for member in TEAM_1
    )


def continues(row: dict[str, Any], first: dict[str, Any]) -> bool:
    """Whether team 1 has battles in its buffers beside those of the round, at least those of the `first`."""
    before = {member: found["buffered"] - found["battles"] for member, found in row["seats"].items()}
    return all(before.get(member, 0) >= first["seats"][member]["buffered"] for member in TEAM_1)
