"""Devices on hosts of their own, each running `pps-qmix agent` over TLS and nothing else; their networks are cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.edge import BATTLES, FLEET, EdgeFederation
from benchmarks.hosts import Hosts, HostsError
from tests.system.conftest import TINY, flags, rounds, timed
from tests.system.test_faults import buffered, seat
from tests.waiting import WAIT_LIMIT, wait_for

RUN = "edge"


@pytest.fixture
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeFederation]:
    folder = tmp_path_factory.mktemp("e")  # short enough for sockets
    with Hosts() as hosts:
        proxy = ("--map", "3m", "--battles", str(TINY["battles"]), "--seat-timeout", "5")
        federation = EdgeFederation(hosts, folder, proxy=proxy)
        yield federation
        federation.close()


@pytest.fixture(autouse=True)
def _hosts_can_be_made() -> None:
    try:
        with Hosts():
            pass
    except HostsError as error:
        pytest.skip(f"no hosts can be made here, which takes root on Linux: {error}")


@pytest.mark.long(70)
def test_devices_on_hosts_of_their_own_play_a_run_through_cuts_of_their_networks(
    federation: EdgeFederation, tmp_path: Path
) -> None:
    run = tmp_path / RUN
    for number in range(3):
        federation.start_device(number)
    settings = {**TINY, "run": RUN, "strategy": "rs-pps", "aggregation-every": 20, "total-steps": 5500}
    settings |= {"evaluate-every": 6000, "buffer-size": 5000}
    process = federation.submit(tmp_path, flags(settings))
    wait_for(lambda: rounds(run), "a round")
    federation.make_device("twin")
    twin = federation.start_device(2, "twin")  # a copy of a device's folder

    def in_the_middle_of_a_round(number: int) -> int:
        """Wait for a seat to have stored some of a round's 40 battles, not most; return how many rounds are done."""
        devices = federation.home(f"device-{number}") / RUN
        wait_for(
            lambda: 5 < buffered(devices, number) - seat(rounds(run)[-1], number)["buffered"] < 20,
            "the middle of a round",
        )
        return len(rounds(run))

    # a device cannot reach the env proxy: the others play on without its unit, and it comes back into the same round
    done = in_the_middle_of_a_round(1)
    with timed("no way to the env proxy: its seat is held after"):
        federation.hosts.cut("device-1", BATTLES)
        wait_for(lambda: "seat 1 was silent for 5 s; the others play on" in federation.said("envproxy"), "the hold")
    stored = buffered(federation.home("device-0") / RUN, 0)
    wait_for(lambda: buffered(federation.home("device-0") / RUN, 0) > stored, "a battle without it")
    federation.hosts.mend("device-1", BATTLES)
    with timed("the way is open again: the round ends after"):
        wait_for(lambda: len(rounds(run)) > done, "the end of the round")
    cut = rounds(run)[done]
    assert cut["seats"].keys() == {"0", "1", "2"}
    assert seat(cut, 1)["missed"] > 0

    # a device cannot reach the SuperLink when it has something to say
    done = in_the_middle_of_a_round(0)
    sent = federation.said("device-0").count("Sending: train message")
    federation.hosts.cut("device-0", FLEET)
    wait_for(lambda: federation.said("device-0").count("Sending: train message") > sent, "its reply")
    assert len(rounds(run)) == done
    federation.hosts.mend("device-0", FLEET)
    with timed("the way to the SuperLink is open again: the round ends after"):
        wait_for(lambda: len(rounds(run)) > done, "the end of the round")
    cut = rounds(run)[done]
    assert cut["seats"].keys() == {"0", "1", "2"}
    assert seat(cut, 0)["missed"] == 0

    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert rounds(run)[-1]["steps"] >= 5500
    # the run did not notice the second device with the same key
    wait_for(lambda: "starting it again" in federation.said("twin"), "the refusal")
    assert "Failed to activate SuperNode" in federation.said("twin")
    assert federation.said("superlink").count("Activated node_id") == 3
    twin.end()
