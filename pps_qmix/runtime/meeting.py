"""Where runs that are played on threads of one process meet to have their training steps taken as one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from threading import Lock
from typing import NamedTuple, Self

from learning.learner import TakenStep, TrainingStep
from learning.stacked import TakeSteps, take_together


class MeetingEndedError(Exception):
    """The meeting was ended: no more training steps are taken there."""


class Meeting:
    """Takes the training steps of several runs as one, when each run that is still played has brought its own.

    The steps are in the order of the runs, not in that in which their threads arrive. So what the runs learn does not
    depend on which thread is faster.
    """

    def __init__(self, runs: int, take: TakeSteps = take_together) -> None:
        """A meeting of so many runs. All are waited for from the beginning, whenever their threads start."""
        self.places = [Place(self, number) for number in range(runs)]
        self._take = take
        self._lock = Lock()
        self._present = set(range(runs))
        self._brought: dict[int, _Brought] = {}
        self._ended = False

    def end(self) -> None:
        """Raise MeetingEndedError in each run that waits here now or brings training steps later."""
        with self._lock:
            self._ended = True
            for brought in self._brought.values():
                brought.taken.set_exception(MeetingEndedError())
            self._brought.clear()

    def bring(self, number: int, steps: Sequence[TrainingStep]) -> list[TakenStep]:
        """Bring the training steps of a run and wait until they are taken. A run that brings none waits for nothing.

        Raises MeetingEndedError, and what taking the steps raises: that is raised in each run.
        """
        if not steps:
            return []
        brought = _Brought(steps, Future())
        with self._lock:
            if self._ended:
                raise MeetingEndedError
            self._brought[number] = brought
            self._take_if_all_wait()
        return brought.taken.result()

    def leave(self, number: int) -> None:
        """Stop waiting for a run: the others continue without it."""
        with self._lock:
            self._present.discard(number)
            self._take_if_all_wait()

    def _take_if_all_wait(self) -> None:
        if not self._brought or self._brought.keys() != self._present:
            return
        all_brought = [self._brought[number] for number in sorted(self._brought)]
        self._brought.clear()
        try:
            every = iter(self._take([step for brought in all_brought for step in brought.steps]))
            taken = [[next(every) for _ in brought.steps] for brought in all_brought]
        except BaseException as error:  # the other threads would wait for ever
            for brought in all_brought:
                brought.taken.set_exception(error)
            return
        for brought, of_run in zip(all_brought, taken, strict=True):
            brought.taken.set_result(of_run)


class Place:
    """The place of one run at a meeting. As a context manager it leaves when the block ends."""

    def __init__(self, meeting: Meeting, number: int) -> None:
        self._meeting = meeting
        self._number = number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._meeting.leave(self._number)

    def take(self, steps: Sequence[TrainingStep]) -> list[TakenStep]:
        """Have training steps taken as one with those of the other runs, as `TakeSteps`. Raises MeetingEndedError."""
        return self._meeting.bring(self._number, steps)


class _Brought(NamedTuple):
    steps: Sequence[TrainingStep]
    taken: Future[list[TakenStep]]
