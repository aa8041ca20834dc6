"""Control groups with little memory, and programs in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import wait_for

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@contextmanager
def little_memory(name: str, megabytes: int) -> Iterator[Run]:
    """Yield what runs a Python program in a control group; the test is skipped where none can be made."""
    parent, limit = _own_group()
    group = parent / name
    try:
        group.mkdir()
        (group / limit).write_text(str(megabytes << 20))
    except OSError as error:
        pytest.skip(f"cannot make a control group, which takes root: {error}")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        join = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs"), sys.executable, *arguments]
        return subprocess.run(join, capture_output=True, text=True, check=False)

    try:
        yield run
    finally:
        wait_for(lambda: _removed(group), f"the end of all processes in {group}")


def _removed(group: Path) -> bool:
    """Remove a control group; return whether that was possible: it is not while a process in it ends."""
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def _own_group() -> tuple[Path, str]:
    """Return the folder of the group that this process is in, and the name of the file with a group's limit."""
    root = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return root / "memory" / path.strip("/"), "memory.limit_in_bytes"
        if not controllers and (root / "cgroup.controllers").exists():
            return root / path.strip("/"), "memory.max"
    pytest.skip("this system has no control groups for memory")
