"""Devices on hosts of their own, each running `pps-qmix agent` over TLS and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.edge import EdgeFederation
from benchmarks.hosts import Hosts, HostsError
from tests.system.conftest import TINY, rounds


@pytest.fixture
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeFederation]:
    folder = tmp_path_factory.mktemp("e")  # short enough for sockets
    try:
        with Hosts() as hosts:
            proxy = ("--map", "3m", "--battles", str(TINY["battles"]), "--seat-timeout", "5")
            federation = EdgeFederation(hosts, folder, proxy=proxy)
            try:
                yield federation
            finally:
                federation.close()
    except HostsError as error:
        pytest.skip(f"no hosts can be made here, which takes root on Linux: {error}")


@pytest.mark.timeout(400)
def test_a_run(federation: EdgeFederation, tmp_path: Path) -> None:
    for seat in range(3):
        federation.start_device(seat)
    run = tmp_path / "edge"
    process = federation.submit(tmp_path, {**TINY, "run": "edge", "total-steps": 700, "strategy": "rs-pps"})
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    print(output)
    assert rounds(run)[-1]["steps"] >= 700
