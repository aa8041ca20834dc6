"""`python -m operations.tied PARENT PROGRAM ARGUMENTS...`: becomes a program that is asked to end with its parent.

A process that is killed cannot end what it has started. Linux does it then; elsewhere the program just runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def tied(command: Sequence[str]) -> list[str]:
    """Return `command` as this process starts it to have it asked to end when the thread that starts it ends."""
    return [sys.executable, "-P", "-m", "operations.tied", str(os.getpid()), *command]


def tie(parent: int, number: int = signal.SIGTERM) -> None:
    """Have this process sent a signal when its parent, of that process id, ends; end at once if it has already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it went before it was watched
        os._exit(1)


def main(parent: str, *command: str) -> None:
    tie(int(parent))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"cannot start {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
