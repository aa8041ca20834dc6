"""Interrupts that come where Python can only report them."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_SOON: Final = 0.05  # seconds: what the interrupt came into is over by then


@contextmanager
def kept_interrupts() -> Iterator[None]:
    """Within it, an interrupt that is lost in a destructor or a weak reference's callback is sent again, as SIGTERM.

    Libraries make many of both when they are imported: one Ctrl-C of five in the first second of a run had no effect.
    Expects a handler of SIGTERM that raises KeyboardInterrupt.
    """
    before = sys.unraisablehook

    def report(lost: Any) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            # A signal to the main thread, and not only Python's note of one: the thread may be waiting for a lock.
            again = threading.Timer(_SOON, signal.pthread_kill, [threading.main_thread().ident, signal.SIGTERM])
            again.daemon = True
            again.start()
        else:
            before(lost)

    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = before
