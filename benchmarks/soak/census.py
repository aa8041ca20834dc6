"""Which processes a federation has now, and what each takes of its machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

TRAIN: Final = "pps-qmix train"
ENV_PROXY: Final = "env proxy"
SUPERNODE: Final = "SuperNode"
CLIENTAPP: Final = "ClientApp"
AGENT: Final = "agent"
LOADED: Final = (
    "loaded"  # Flower and PyTorch: runs the devices' commands in forks of itself (pps_qmix.runtime.preloaded)
)
OTHER: Final = "other"

_ROLES: Final = {  # a program or module early in the command line
    "client.resident": AGENT,
    "pps_qmix.runtime.preloaded.loaded": LOADED,
    "pass_on.py": "passes on",
    "flwr-clientapp": CLIENTAPP,
    "flwr-serverapp": "ServerApp",
    "flower-supernode": SUPERNODE,
    "flower-superlink": "SuperLink",
    "flower-superexec": "SuperExec",
    "flwr": "flwr",
    "envproxy": ENV_PROXY,
    "train": TRAIN,
}
_EARLY: Final = 5  # words: python -P -m cli.main train


class Reading(NamedTuple):
    """What one process took at one time."""

    seconds: float  # since the soak began
    role: str
    part: str  # the device or the other part it belongs to: seat-0, superlink, ...; "" without a FLWR_HOME
    pid: int
    started: float  # with the pid, which may come again: which process it is
    memory: int  # bytes, resident (RSS): what others of the machine start or end does not move it
    share: int  # bytes, of it that which is its own and its part of what it shares (PSS); all of it where unknown
    files: int
    threads: int
    cpu: float  # seconds since its start


def role_of(command: Sequence[str]) -> str:
    """Return the role of a process by its command line."""
    names = [Path(word).name for word in command[:_EARLY]]
    return next((role for name, role in _ROLES.items() if name in names), OTHER)


def part_of(process: psutil.Process) -> str:
    """Return the part it belongs to. A fork (pps_qmix.runtime.preloaded) has the environment of its parent."""
    command = process.cmdline()
    if seat := re.search(r"(?:\0--seat\0|\bseat=)(\d+)", "\0".join(command)):
        return f"seat-{seat.group(1)}"
    if "--parent-pid" in command:
        with suppress(psutil.Error):
            return part_of(psutil.Process(int(command[command.index("--parent-pid") + 1])))
    return Path(process.environ().get("FLWR_HOME", "")).name


def members(home: Path) -> Iterator[psutil.Process]:
    """All live processes whose PPS_HOME is `home`: a federation's, wherever they are in the tree of processes."""
    for process in psutil.process_iter(["environ", "status"]):
        theirs = (process.info["environ"] or {}).get("PPS_HOME")  # none of another user's
        if theirs == str(home) and process.info["status"] != psutil.STATUS_ZOMBIE:
            yield process


def look(home: Path, seconds: float) -> list[Reading]:
    """Read all processes of the federation; one that ends meanwhile is left out."""
    found = []
    for process in members(home):
        with suppress(psutil.Error):
            found.append(_read(process, seconds))
    return found


def disk_use(folder: Path) -> int:
    """Return the bytes that a folder's files take on disk; files that go meanwhile count nothing."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
    return total


def _read(process: psutil.Process, seconds: float) -> Reading:
    with process.oneshot():
        memory = process.memory_full_info()
        times = process.cpu_times()
        return Reading(
            seconds=round(seconds, 1),
            role=role_of(process.cmdline()),
            part=part_of(process),
            pid=process.pid,
            started=process.create_time(),
            memory=memory.rss,
            share=getattr(memory, "pss", memory.rss),
            files=process.num_fds(),
            threads=process.num_threads(),
            cpu=round(times.user + times.system, 2),
        )
