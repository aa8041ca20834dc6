"""Processes that end with their parent."""

from __future__ import annotations

import subprocess
import sys

import psutil

from tests.waiting import WAIT_LIMIT, wait_for


def test_a_tied_program_ends_with_its_parent() -> None:
    """The parent is killed, so it cannot end its child."""
    program = (
        "import subprocess, time\n"
        "from operations.tied import tied\n"
        "child = subprocess.Popen(tied(['sleep', '600']))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for(lambda: child.name() == "sleep", "the child's program")
        parent.kill()
    psutil.wait_procs([child], timeout=WAIT_LIMIT)
    assert not child.is_running()
