"""Interrupts that come where Python can only report them."""

from __future__ import annotations

import _thread
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
            again = threading.Timer(_SOON, _thread.interrupt_main, [signal.SIGTERM])
            again.daemon = True
            again.start()
        else:
            before(lost)

    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = before
