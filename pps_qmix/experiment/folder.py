"""Where an experiment's runs and results are.

results/<name>/
    experiment.toml       the file that was played last
    results.csv           one row per evaluation of every run
    results.md            the tables, and the figures beside it
    index.html            the same as a page, the paper's table beside ours, and the runs
    win-rate-<map>.png    and .pdf: win rate over environment steps
    runs/<run>/           the runs' directories, as of `pps-qmix train`
    logs/<run>.log        what a run's process said, or a run that was played in one process with other seeds
    logs/<run>-seeds.log  what that process said beside; <run> is the first of its runs
    devices/<run>/        what the agents keep between rounds; removed when the run is finished
    lock                  held (flock) by the command and by every run it has started
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envproxy.mixer_store import MIXERS
from operations.locks import locked
from server.run_directory import RunDirectoryError, read_run


class Folder:
    """An experiment's output folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"
        self.devices = path / "devices"
        self.experiment = path / "experiment.toml"

    def run(self, name: str) -> Path:
        return self.runs / name

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def seeds_log(self, first: str) -> Path:
        return self.path / "logs" / f"{first}-seeds.log"

    @property
    def played(self) -> bool:
        """Whether the command has played here before, or does so now."""
        return (self.path / "lock").exists()

    def make(self) -> None:
        for path in (self.runs, self.devices, self.path / "logs"):
            path.mkdir(parents=True, exist_ok=True)

    def forget_devices(self, name: str) -> None:
        """Remove what a finished run's agents and its joint mixing have kept: battles, which can be gigabytes."""
        shutil.rmtree(self.devices / name, ignore_errors=True)
        with contextlib.suppress(RunDirectoryError):
            shutil.rmtree(self.devices / MIXERS / read_run(self.run(name))["id"], ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Be the only one that plays here; yields the descriptor to give to every process that plays, too.

        The lock lasts until all of them have ended: a run that ends a moment after its command, which was killed, is
        not begun a second time meanwhile. Raises InUseError.
        """
        in_use = (
            f"{self.path} is in use: another `pps-qmix experiment`, or a run it has left behind, plays there; wait "
            f"until it has ended, or end the processes that have {self.runs} in their command line"
        )
        with locked(self.path / "lock", in_use) as descriptor:
            yield descriptor
