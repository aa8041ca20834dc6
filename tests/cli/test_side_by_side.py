"""Work of one moment on several threads."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from learning.learner import Learner
from learning.settings import Base
from pps_qmix.runtime.side_by_side import Task, Threads, take_one_by_one
from tests.learning.toy import SPEC, batch_of, owed, random_battle, settings
from tests.waiting import WAIT_LIMIT


@pytest.fixture
def threads() -> Iterator[Threads]:
    found = Threads(3)
    yield found
    found.close()


def test_a_task_is_computed_once(threads: Threads) -> None:
    computed: list[int] = []

    def compute(number: int) -> int:
        computed.append(number)
        return number

    tasks = [Task(functools.partial(compute, number)) for number in range(50)]
    threads.begin(tasks)
    assert [task.result() for task in tasks] == list(range(50))
    assert sorted(computed) == list(range(50))


def test_tasks_that_wait_for_one_another_are_computed_at_the_same_time(threads: Threads) -> None:
    together = threading.Barrier(3, timeout=WAIT_LIMIT)
    tasks = [Task(together.wait) for _ in range(3)]
    threads.begin(tasks)
    assert sorted(task.result() for task in tasks) == [0, 1, 2]


def test_a_task_may_ask_for_another_that_no_thread_has_begun() -> None:
    first = Task(lambda: 20)
    second = Task(lambda: first.result() + 1)
    assert second.result() == 21


def test_what_a_task_raises_is_raised_where_its_result_is_asked_for(threads: Threads) -> None:
    def fail() -> None:
        raise OSError("no room")

    tasks = [Task(fail) for _ in range(3)]
    threads.begin(tasks)
    for task in tasks:
        with pytest.raises(OSError, match="no room"):
            task.result()


def test_an_interrupt_ends_this_thread_and_those_that_wait_for_its_task() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    task = Task(interrupt)
    with pytest.raises(KeyboardInterrupt):
        task.begin()
    with pytest.raises(KeyboardInterrupt):
        task.result()


@pytest.mark.parametrize("base", ["vdn", "qmix"])
@pytest.mark.parametrize("learners", [1, 3])
def test_learners_learn_the_same_side_by_side_as_one_by_one(threads: Threads, base: Base, learners: int) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    told = settings(base=base, td_lambda=0.5)
    beside, alone = ([Learner(SPEC, told, seed) for seed in range(learners)] for _ in range(2))
    for _ in range(5):
        batches = [batch_of(*(random_battle(rng) for _ in range(4))) for _ in range(learners)]
        found = threads.take([owed(*each) for each in zip(beside, batches, strict=True)])
        expected = take_one_by_one([owed(*each) for each in zip(alone, batches, strict=True)])
        assert [each.metrics for each in found] == [each.metrics for each in expected]
    for one, other in zip(beside, alone, strict=True):
        for name, tensor in other.state()[0].items():
            assert torch.equal(one.state()[0][name], tensor)


def test_an_idle_thread_computes_the_target_networks_values(threads: Threads) -> None:
    learner, computed_by = Learner(SPEC, settings(), seed=0), []
    batch = batch_of(*(random_battle(np.random.default_rng(0)) for _ in range(4)))
    compute, train = learner.target_values, learner.train
    begun = threading.Event()

    def noted(*told: object) -> torch.Tensor:
        computed_by.append(threading.current_thread())
        begun.set()
        return compute(*told)  # type: ignore[arg-type]

    def late(*told: object) -> object:
        assert begun.wait(WAIT_LIMIT)
        return train(*told)  # type: ignore[arg-type]

    learner.target_values, learner.train = noted, late  # type: ignore[method-assign, assignment]
    (taken,) = threads.take([owed(learner, batch)])
    assert len(computed_by) == 1
    assert np.isfinite(taken.metrics.loss)
