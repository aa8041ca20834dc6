"""A process may open as many files as the system lets it."""

from __future__ import annotations

import resource
import subprocess
import sys


def test_the_soft_limit_becomes_the_hard_one() -> None:
    code = (
        "import resource; from operations.open_files import allow_open_files; "
        "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE); resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)); "
        "allow_open_files(); print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    hard = str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert said == [hard, hard]
