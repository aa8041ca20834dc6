"""Plays an experiment's runs: each in a process of its own, as many at once as there are jobs."""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from pps_qmix.configuration import default_config
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.schedule import Entry, State
from pps_qmix.experiment.spec import PlannedRun
from pps_qmix.runtime.processes import Part

_LOOK_EVERY = 0.5  # seconds
_NOT_FLAGS = {"run", "runs", "resume"}
_AS_IN_THE_FILE = ("threads", "device")  # of a resumed run, too: they may change
# A run has one core; numpy's and torch's threads would only get in the way of the other runs'.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class Started(NamedTuple):
    """A run was started or resumed."""

    entry: Entry


class Ended(NamedTuple):
    """A run's process has ended: the run is finished, or there is a reason why not."""

    run: PlannedRun
    reason: str | None


def play_all(
    entries: Sequence[Entry], folder: Folder, lock: int, jobs: int, meanwhile: Callable[[], None]
) -> Generator[Started | Ended]:
    """Play the runs, `jobs` at once, and tell of each when it starts and ends; a failure stops no other.

    `meanwhile` is called about twice a second. Closing the generator ends every process; their
    runs can be resumed later.
    """
    waiting, playing = deque(entries), dict[str, tuple[PlannedRun, Part]]()
    try:
        while waiting or playing:
            events: list[Started | Ended] = []
            for name, (run, part) in list(playing.items()):
                if not part.running:
                    del playing[name]
                    part.end()  # what it may have left behind
                    events.append(Ended(run, _reason(part)))
            while waiting and len(playing) < jobs:  # before anything is told: what hears it may take its time
                entry = waiting.popleft()
                playing[entry.run.name] = (entry.run, _start(entry, folder, lock))
                events.append(Started(entry))
            yield from events
            meanwhile()
            if not events:
                time.sleep(_LOOK_EVERY)
    finally:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda each: each[1].end(), playing.values()))


def command(entry: Entry, folder: Folder) -> list[str]:
    """Return the command that plays a run, or plays on."""
    train = [sys.executable, "-P", "-m", "pps_qmix_command", "train", "--runtime", "in-process"]
    config = entry.run.settings.config()
    if entry.state is not State.NEW:
        changes = [f"--{name}={config[name]}" for name in _AS_IN_THE_FILE]
        return [*train, "--resume", str(folder.run(entry.run.name)), *changes]
    defaults = default_config()
    flags = [
        f"--{name}={value}" for name, value in config.items() if name not in _NOT_FLAGS and value != defaults[name]
    ]
    return [*train, "--runs", str(folder.runs), "--run", entry.run.name, *flags]


def _start(entry: Entry, folder: Folder, lock: int) -> Part:
    environment = {**_ONE_THREAD, "PPS_HOME": str(folder.devices)}
    name = entry.run.name
    return Part(name, command(entry, folder), folder.log(name), environment, open_files=[lock])


def _reason(part: Part) -> str | None:
    code = part.exit_code
    if code == 0:
        return None
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}{part.out_of_memory}"
    lines = part.said().split("\n")
    said = [line for line in lines if line.strip()]
    return said[-1].removeprefix("pps-qmix: ") if said else f"exit code {code}"
