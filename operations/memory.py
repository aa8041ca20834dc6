"""How much memory there is for a process, what bounds it, and whether the kernel has ended processes for lack of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60  # bytes; version 1 writes a number of this size for none


class Memory(NamedTuple):
    """What is free, and the total it is free of: the machine's, or the limit of a control group. Bytes."""

    free: int
    total: int
    limited: bool  # by a control group, as a container's, a service's or a batch job's

    def __str__(self) -> str:
        whose = "the limit of its control group (cgroup)" if self.limited else "the machine's"
        return f"{gigabytes(self.free)} of {whose} {gigabytes(self.total)} are free"


def memory(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> Memory:
    """Return the least of what the machine and the control groups of this process leave to it.

    What the kernel can drop (it caches files) is free. `proc` and `cgroups` are where the kernel shows both.
    """
    machine = psutil.virtual_memory()
    found = [Memory(machine.available, machine.total, limited=False)]
    for folder, version in _groups(proc, cgroups):
        limit, used = ("memory.max", "memory.current") if version == 2 else _VERSION_1
        total = _number(folder / limit)
        if total is not None and total < _NO_LIMIT:
            taken = (_number(folder / used) or 0) - _cached(folder)
            found.append(Memory(max(total - max(taken, 0), 0), total, limited=True))
    return min(found)


def killed(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """Return how many processes the kernel has ended for lack of memory so far: in our control group, if it counts."""
    for folder, version in _groups(proc, cgroups):
        for line in _lines(folder / ("memory.events" if version == 2 else "memory.oom_control")):
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    counts = (line.partition(" ") for line in _lines(proc / "vmstat"))
    return next((int(count) for name, _, count in counts if name == "oom_kill"), 0)


def gigabytes(count: float) -> str:
    """Return bytes as a reader wants them: 4.2 GB."""
    return f"{count / 1e9:.1f} GB"


_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def _groups(proc: Path, cgroups: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folders of our control groups for memory, from our own to the root, and their version (1 or 2)."""
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        version = 1 if controllers else 2
        root = cgroups / "memory" if version == 1 else cgroups
        folder = root / path.strip("/")
        yield from ((each, version) for each in (folder, *folder.parents) if each.is_relative_to(root))


def _cached(folder: Path) -> int:
    """Bytes of files that the kernel holds for a group and can drop."""
    names = ("total_active_file", "total_inactive_file"), ("active_file", "inactive_file")
    found = dict(line.split(" ", 1) for line in _lines(folder / "memory.stat"))
    return next((sum(int(found[name]) for name in each) for each in names if each[0] in found), 0)


def _number(file: Path) -> int | None:
    """Return what a file says; None for "max" and for a file that does not exist."""
    return next((int(line) for line in _lines(file) if line.isdecimal()), None)


def _lines(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    return []
