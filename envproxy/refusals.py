"""What an env proxy has refused: counted by reason, and logged at a rate that a flood cannot raise."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

log = logging.getLogger("envproxy")

REASONS: Final = (
    "unknown-arena", "protocol", "no-seat", "token", "no-token", "too-many-calls", "no-join", "taken", "stale-round",
    "given-up", "no-battles", "seat-budget", "malformed",
)  # fmt: skip
_LINES: Final = 10  # of one reason in a period
_PERIOD: Final = 10.0  # seconds


class Refusals:
    """Counts refusals, and logs the first ones of every reason in a period one by one, the others as a number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._began = clock()
        self._logged: Counter[str] = Counter()
        self._silent: Counter[str] = Counter()

    def note(self, reason: str, peer: str, why: str) -> None:
        """A call of `peer` is refused for one of `REASONS`; `why` is what it is told."""
        self.counts[reason] += 1
        now = self._clock()
        if now - self._began >= _PERIOD:
            self._began = now
            self._tell_silent()
        if self._logged[reason] < _LINES:
            self._logged[reason] += 1
            log.warning("refused %s: %s", peer, why, extra={"reason": reason})
        else:
            self._silent[reason] += 1

    def _tell_silent(self) -> None:
        """Say how many refusals were not logged in the period that is over."""
        for reason, count in self._silent.items():
            log.warning("refused %d more calls for the reason %s", count, reason, extra={"reason": reason})
        self._silent.clear()
        self._logged.clear()
