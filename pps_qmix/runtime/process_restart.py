"""A process that is restarted when it ends, while the run continues without it."""

from __future__ import annotations

import time
from collections.abc import Callable

from pps_qmix.runtime.processes import Part
from pps_qmix.runtime.retry_policy import RetryPolicy

_RESTARTS = 5  # in a row, without a round between them
_PAUSE = 1.0  # seconds before the first


class RestartedProcess:
    """Watches one part; `look` never waits."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._patience = RetryPolicy(_RESTARTS, _PAUSE)
        self._start_at: float | None = None  # time.monotonic() of the next start of a part that has ended

    def forget(self) -> None:
        """A round has come to its end: restarts before it count no longer."""
        self._patience.forget()

    def look(self, tell: Callable[[str], None]) -> None:
        """Start the part again if it has ended and its pause is over. Raises PartFailedError if it ended too often."""
        if self._start_at is not None:
            if time.monotonic() >= self._start_at:
                self._start_at = None
                self.part.restart()
        elif not self.part.running:
            pause = self._patience.next_pause()
            if pause is None:
                self.part.check()
                return
            tell(f"{self.part.name} ended ({self.part.ending}); starting it again in {pause:.0f} s")
            self.part.kill()  # what it has left behind in its group
            self._start_at = time.monotonic() + pause
