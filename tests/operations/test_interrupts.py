"""Interrupts that come where Python can only report them."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import WAIT_LIMIT

PROGRAM = """
import signal, sys, threading
from operations.interrupts import kept_interrupts

class Interrupted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    with kept_interrupts():
        Interrupted()
        threading.Event().wait(float(sys.argv[1]))
    print("lost")
except KeyboardInterrupt:
    print("kept")
"""


def test_an_interrupt_in_a_destructor_is_not_lost() -> None:
    command = [sys.executable, "-c", PROGRAM, str(WAIT_LIMIT / 2)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_LIMIT, check=True)
    assert (found.stdout, found.stderr) == ("kept\n", "")
