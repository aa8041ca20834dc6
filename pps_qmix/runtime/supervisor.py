"""Plays a run to its end through failures: each is shown, and the run resumes from its newest checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable

from pps_qmix.runtime.processes import PartFailedError, StopError
from pps_qmix.runtime.retry_policy import RetryPolicy

RETRIES = 5
PAUSE = 2.0  # seconds before the first retry; before each further one in a row twice as many


def supervise(
    play: Callable[[], None], steps: Callable[[], int | None], retries: int, tell: Callable[[str], None]
) -> None:
    """Call `play`, which plays the run from its newest checkpoint to its end, until it succeeds.

    `steps` are the environment steps up to the newest checkpoint, None before the run has a directory. `retries` are
    counted in a row: after a new checkpoint, the next failure is the first again. Raises PartFailedError with the last
    reason when they are used up, or if the run did not even begin; StopError at once.
    """
    patience = RetryPolicy(retries, PAUSE)
    while True:
        before = steps() or 0
        try:
            play()
            return
        except StopError:
            raise
        except PartFailedError as error:
            reason = str(error)
        reached = steps()
        if reached is None:
            raise PartFailedError(reason)
        if reached > before:
            patience.forget()
        pause = patience.next_pause()
        if pause is None:
            tries = f"given up after {retries} retries in a row without a new round: " if retries else ""
            raise PartFailedError(f"{tries}{reason}")
        what = reason.splitlines()[0].removesuffix(":")
        whence = f"from step {reached:,}" if reached else "from the beginning"
        tell(f"{what}; resuming {whence} in {pause:.0f} s (retry {patience.failures} of {retries})")
        time.sleep(pause)
