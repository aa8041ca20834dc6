"""Plays an experiment's runs: in as many processes at once as there are jobs."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.schedule import Entry, State
from pps_qmix.experiment.spec import PlannedRun
from pps_qmix.runtime.processes import Part

_LOOK_EVERY = 0.5  # seconds
# A process has one core; numpy's and torch's threads would only get in the way of the other processes'.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class Started(NamedTuple):
    """A run was started or resumed."""

    entry: Entry


class Ended(NamedTuple):
    """A run has ended, or its process: the run is finished, or there is a reason why not."""

    run: PlannedRun
    reason: str | None


def play_all(
    processes: Sequence[Sequence[Entry]], folder: Folder, lock: int, jobs: int, meanwhile: Callable[[], None]
) -> Generator[Started | Ended]:
    """Play the runs, `jobs` processes at once, and tell of each run when it starts and ends; a failure stops no other.

    `processes` has the runs of each process. Several in one take their training steps as one (`experiment.seeds`).
    `meanwhile` is called about twice a second. Closing the generator ends every process; their
    runs can be resumed later.
    """
    waiting, playing = deque(processes), list[_Process]()
    try:
        while waiting or playing:
            events: list[Started | Ended] = []
            for process in list(playing):
                over = not process.running
                events += process.ended()
                if over:
                    playing.remove(process)
                    process.end()  # what it may have left behind
            while waiting and len(playing) < jobs:  # before anything is told: what hears it may take its time
                entries = waiting.popleft()
                playing.append(_Process(entries, folder, lock))
                events += map(Started, entries)
            yield from events
            meanwhile()
            if not events:
                time.sleep(_LOOK_EVERY)
    finally:
        with ThreadPoolExecutor() as pool:
            list(pool.map(_Process.end, playing))


def command(entry: Entry, folder: Folder) -> list[str]:
    """Return the command that plays a run, or plays on."""
    train = [sys.executable, "-P", "-m", "pps_qmix_command", "train", "--runtime", "in-process"]
    flags = [f"--{name}={value}" for name, value in entry.named.items()]
    if entry.state is not State.NEW:
        return [*train, "--resume", str(folder.run(entry.run.name)), *flags]
    return [*train, "--runs", str(folder.runs), "--run", entry.run.name, *flags]


def seeds_command(entries: Sequence[Entry], folder: Folder, told_on: int) -> list[str]:
    """Return the command that plays several runs of the folder's experiment, and tells on a descriptor which ended."""
    play = [sys.executable, "-P", "-m", "cli.seeds", "--told-on", str(told_on)]
    return [*play, *(str(folder.run(entry.run.name)) for entry in entries)]


class _Process:
    """A process that plays one run, or several and tells of each when it ends."""

    def __init__(self, entries: Sequence[Entry], folder: Folder, lock: int) -> None:
        self._playing = {entry.run.name: entry.run for entry in entries}
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - `end` closes it
        name, told_on = entries[0].run.name, self._told.fileno()
        if len(entries) == 1:
            words, log = command(entries[0], folder), folder.log(name)
        else:
            words, log = seeds_command(entries, folder, told_on), folder.seeds_log(name)
        environment = {**_ONE_THREAD, "PPS_HOME": str(folder.devices)}
        self._part = Part(name, words, log, environment, open_files=[lock, told_on])

    @property
    def running(self) -> bool:
        return self._part.running

    def end(self) -> None:
        self._part.end()
        self._told.close()

    def ended(self) -> list[Ended]:
        """Return which runs have ended since the last call: all that are left, if the process has ended."""
        over = not self.running  # before reading: it tells nothing more
        told = os.pread(self._told.fileno(), os.fstat(self._told.fileno()).st_size, 0)
        reasons: dict[str, str | None] = dict.fromkeys(self._playing, _reason(self._part)) if over else {}
        reasons.update(json.loads(line) for line in told[: told.rfind(b"\n") + 1].splitlines())
        return [Ended(self._playing.pop(name), reasons[name]) for name in list(self._playing) if name in reasons]


def _reason(part: Part) -> str | None:
    code = part.exit_code
    if code == 0:
        return None
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}{part.out_of_memory}"
    lines = part.said().split("\n")
    said = [line for line in lines if line.strip()]
    return said[-1].removeprefix("pps-qmix: ") if said else f"exit code {code}"
