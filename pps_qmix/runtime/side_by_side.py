"""Work of one moment on several threads: each piece is done by the first thread that is free for it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from learning.batch import Batch
from learning.learner import Learner, TakenStep, TrainingStep
from learning.metrics import TrainMetrics

_T = TypeVar("_T")


class Task(Generic[_T]):
    """Something that is computed once."""

    def __init__(self, compute: Callable[[], _T]) -> None:
        self._compute = compute
        self._begun = Lock()
        self._done: Future[_T] = Future()

    def begin(self) -> None:
        """Compute it here, unless a thread has begun it. What it raises is raised by `result`."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._done.set_result(self._compute())
        except BaseException as error:
            self._done.set_exception(error)  # a thread may wait for it
            if not isinstance(error, Exception):
                raise

    def result(self) -> _T:
        """Return the result, computed here if no thread has begun it."""
        self.begin()
        return self._done.result()


class Threads:
    """So many threads that compute at the same time; the one that calls is one of them."""

    def __init__(self, count: int) -> None:
        # OpenMP counts threads for each of the threads that call it: every one of ours is told to compute alone.
        self._pool = ThreadPoolExecutor(count - 1, "learning", torch.set_num_threads, (1,))
        self._others = count - 1

    def begin(self, tasks: Sequence[Task[Any]]) -> None:
        """Begin all tasks; on return some may still be computed. This thread takes the last ones first."""
        for _ in range(self._others):
            self._pool.submit(_begin, tasks)
        _begin(tasks[::-1])

    def take(self, steps: Sequence[TrainingStep]) -> list[TakenStep]:
        """Take training steps of different learners at the same time; each has an equal part of the seconds.

        What the learners learn is what they learn one by one, bit for bit. A thread that finds no learner to train
        computes the target network's values for one that another thread trains.
        """
        if not steps:
            return []
        began = time.perf_counter()
        learners = [step.learner for step in steps]
        batches = [Task(step.draw) for step in steps]
        targets = [Task(functools.partial(_target_values, *each)) for each in zip(learners, batches, strict=True)]
        trained = [Task(functools.partial(_train, *each)) for each in zip(learners, batches, targets, strict=True)]
        self.begin([*targets, *trained])
        metrics = [task.result() for task in trained]
        seconds = (time.perf_counter() - began) / len(steps)
        return [TakenStep(each, seconds) for each in metrics]

    def close(self) -> None:
        """End the threads when what they have begun is done."""
        self._pool.shutdown()


def take_one_by_one(steps: Sequence[TrainingStep]) -> list[TakenStep]:
    """Take training steps one after the other."""
    return [step.take() for step in steps]


def _begin(tasks: Sequence[Task[Any]]) -> None:
    for task in tasks:
        task.begin()


def _target_values(learner: Learner, batch: Task[Batch]) -> Tensor:
    return learner.target_values(batch.result())


def _train(learner: Learner, batch: Task[Batch], target: Task[Tensor]) -> TrainMetrics:
    return learner.train(batch.result(), target.result)
