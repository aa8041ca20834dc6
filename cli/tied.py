"""`python -m cli.tied PROGRAM ARGUMENTS...`: becomes a program that is asked to end when its parent is gone.

A supervisor that is killed cannot end what it has started. Linux does it then; elsewhere the program just runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def tie(parent: int, number: int = signal.SIGTERM) -> None:
    """Have this process sent a signal when its parent, of that process id, ends; end at once if it has already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it went before it was watched
        os._exit(1)


def main() -> None:
    tie(os.getppid())
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
