"""Waiting for what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# Seconds after which a wait fails a test. An upper bound for a machine with many times as much to do as it has cores.
WAIT_LIMIT = 400.0


def wait_for(condition: Callable[[], Any], what: str, limit: float = WAIT_LIMIT, every: float = 0.1) -> Any:
    """Return the first true value of `condition`, asked `every` so many seconds; fail after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {limit:.0f} s for {what}"
        time.sleep(every)
    return value
