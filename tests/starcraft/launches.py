"""Who was launched out of an installation: numbered files which games write and tests read."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Final

import psutil

FOLDER: Final = "launches"


@dataclass(frozen=True)
class Launch:
    """One game process, running or not."""

    number: int  # in order of start, from 0
    pid: int
    started: float  # seconds since the epoch, as time.time()
    arguments: tuple[str, ...]
    folder: Path  # of the installation

    def is_running(self) -> bool:
        """Tell whether the process runs. A process that has ended and waits for its parent does not."""
        try:
            process = psutil.Process(self.pid)
            # A later process may have been given the same number.
            return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= self.started + 1.0
        except psutil.NoSuchProcess:
            return False

    def requests(self) -> Counter[str]:
        """Return how many requests of each name it has received, also before a crash."""
        with suppress(FileNotFoundError):
            return Counter(_requests_file(self.folder, self.number).read_text().split())
        return Counter()

    def end(self) -> None:
        """Kill it if it runs."""
        if self.is_running():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def record_launch(folder: Path, arguments: list[str]) -> Launch:
    """Write down that this process was launched, under the next free number."""
    (folder / FOLDER).mkdir(exist_ok=True)
    entry = {"pid": os.getpid(), "started": time.time(), "arguments": arguments}
    whole = folder / FOLDER / f"{os.getpid()}.new"
    whole.write_text(json.dumps(entry))
    for number in count():
        with suppress(FileExistsError):
            os.link(
                whole, _launch_file(folder, number)
            )  # one process gets a number, and its file is never half written
            whole.unlink()
            return _read(folder, number)
    raise AssertionError("numbers do not end")


def requests_log(launch: Launch) -> IO[bytes]:
    """Open the file to which a game appends a line with the name of each request; it is not buffered."""
    return _requests_file(launch.folder, launch.number).open("ab", buffering=0)


def launches(folder: Path) -> list[Launch]:
    """Return all launches out of the installation `folder`, in order of start."""
    found: list[Launch] = []
    while _launch_file(folder, len(found)).exists():
        found.append(_read(folder, len(found)))
    return found


def _read(folder: Path, number: int) -> Launch:
    entry = json.loads(_launch_file(folder, number).read_text())
    return Launch(number, entry["pid"], entry["started"], tuple(entry["arguments"]), folder)


def _launch_file(folder: Path, number: int) -> Path:
    return folder / FOLDER / f"{number}.json"


def _requests_file(folder: Path, number: int) -> Path:
    return folder / FOLDER / f"{number}.requests"
