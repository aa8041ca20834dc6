"""How often in a row something may fail before it is given up, and how long it is left alone after each time."""

from __future__ import annotations

_LONGEST = 300.0  # seconds


class RetryPolicy:
    """`tries` new tries in a row: the first after `pause` seconds, each further one after twice as many."""

    def __init__(self, tries: int, pause: float) -> None:
        self._tries = tries
        self._pause = pause
        self.failures = 0  # in a row

    def forget(self) -> None:
        """It has done what it is there for: what comes now is the first failure again."""
        self.failures = 0

    def next_pause(self) -> float | None:
        """Count a failure. Return the seconds until the next try, None if it is given up."""
        self.failures += 1
        if self.failures > self._tries:
            return None
        return min(self._pause * 2.0 ** min(self.failures - 1, 30), _LONGEST)
