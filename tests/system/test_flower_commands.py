"""The same by Flower's own commands: superlink, supernodes, env proxy, `flwr run` with a profile and --run-config."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.system.conftest import TINY, agents, rounds
from tests.system.federation import Federation
from tests.waiting import wait_for


@pytest.fixture
def federation(tmp_path: Path, home: Path) -> Iterator[Federation]:
    with ExitStack() as stack:
        made = Federation(tmp_path)
        stack.callback(made.close)
        yield made


@pytest.mark.long(60)
def test_flwr_run_trains_and_says_what_is_wrong(federation: Federation, tmp_path: Path, home: Path) -> None:
    settings = {**TINY, "runs": str(tmp_path), "strategy": "pp-pps", "total-steps": 700}

    status, streamed = federation.run({**settings, "run": "good"})
    assert status == "finished:completed", streamed
    assert rounds(tmp_path / "good")[-1]["steps"] >= 700
    assert "test win rate" in streamed
    assert "shared: " in streamed
    assert len(agents(tmp_path)) == 3  # they stay as long as their SuperNodes

    status, streamed = federation.run({**settings, "run": "bad", "map": "8m"})
    assert status == "finished:failed", streamed
    last = streamed.strip().splitlines()[-1]
    assert last.startswith("the run failed: ")
    assert "the run wants map '8m', but arena 'main' of the env proxy plays '3m'" in last

    status, streamed = federation.run({**settings, "run": "wrong", "strategy": "pppps"})
    assert status == "finished:failed", streamed
    last = streamed.strip().splitlines()[-1]
    assert last.startswith("the run failed: ")
    assert "pppps" in last

    federation.close()
    wait_for(lambda: not agents(tmp_path), "the end of the agents")
