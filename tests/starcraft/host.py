"""A machine on which the backend smac plays: the stand-in, a worker's packages, and a look at what is left behind."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

from envproxy.backends.smac.game_map import game_map
from envproxy.maps import battle_map, map_spec
from envproxy.maps import smac as smac_maps
from envproxy.rules import SMAC_RULES
from tests.starcraft.environment.smac.env.starcraft2 import MAP_SIZES
from tests.starcraft.faults import Fault
from tests.starcraft.installation import make_installation
from tests.starcraft.launches import launches
from tests.waiting import wait_for

ENVIRONMENT: Final = Path(__file__).parent / "environment"  # what stands in for SMAC
SMAC: Final = os.environ.get("PPS_TEST_SMAC")  # a folder with unmodified SMAC
needs_smac = pytest.mark.skipif(
    SMAC is None, reason="SMAC is in no package index: name a folder that has it in PPS_TEST_SMAC"
)


_SHOWN: Final = (*smac_maps.names(), "terran_5_vs_5")  # SMACv2's scenarios of one race are one map of its registry


@dataclass(frozen=True)
class Host:
    """Where games are installed, and where workers have their temporary directories."""

    installation: Path
    temporary: Path

    @property
    def launched(self) -> int:
        """How many games have been started."""
        return len(launches(self.installation))

    def processes(self) -> list[psutil.Process]:
        """Return all that runs for the backend here: keepers, workers and games have this TMPDIR, or are below it."""
        found = []
        for process in psutil.process_iter(["environ", "status", "pid"]):
            theirs = (process.info["environ"] or {}).get("TMPDIR", "")
            if process.info["pid"] != os.getpid() and Path(theirs).is_relative_to(self.temporary):
                found.append(process)
        return [process for process in found if process.info["status"] != psutil.STATUS_ZOMBIE]

    def check_nothing_is_left(self) -> None:
        """Fail unless all processes end and all temporary directories go; what was killed takes a moment."""
        wait_for(lambda: not self.processes(), f"the end of {self.processes()}")
        wait_for(lambda: not self.directories(), f"{self.directories()} to go")

    def directories(self) -> list[Path]:
        """Return the temporary directories of workers and games; PyTorch, too, has one there."""
        return [path for pattern in ("pps-qmix*", "sc-*") for path in self.temporary.glob(pattern)]


@contextmanager
def battle_host(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    faults: Sequence[Fault] = (),
    packages: Path | str = ENVIRONMENT,
    maps: Sequence[str] | None = None,
) -> Iterator[Host]:
    """Let this process, and what it starts, be able to play; in the end see that nothing is left of it."""
    host = Host(make_installation(folder / "Star Craft II", maps, faults), folder / "tmp")
    host.temporary.mkdir()
    monkeypatch.setenv("SC2PATH", str(host.installation))
    monkeypatch.setenv("TMPDIR", str(host.temporary))
    monkeypatch.setenv("PYTHONPATH", str(packages))
    monkeypatch.setenv("PPS_SMAC_PYTHON", sys.executable)
    monkeypatch.setenv(MAP_SIZES, json.dumps({game_map(battle_map(name)).registered: _sizes(name) for name in _SHOWN}))
    yield host
    try:
        host.check_nothing_is_left()
    finally:
        for process in host.processes():
            process.kill()


def _sizes(map_name: str) -> dict[str, int]:
    spec = dataclasses.asdict(map_spec(map_name, SMAC_RULES))
    return {**spec, "n_enemies": battle_map(map_name).n_enemies, "file": game_map(battle_map(map_name)).file}
