"""Control groups with little memory, and programs in them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
        deadline = time.monotonic() + 30
        while True:
            try:
                group.rmdir()
                break
            except OSError:  # a process in it is still being taken apart
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


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
