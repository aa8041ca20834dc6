"""Runs on threads of one process that have their training steps taken as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import pytest
import torch

from learning.learner import Learner, TakenStep, TrainingStep
from learning.stacked import take_together
from pps_qmix.runtime.meeting import Meeting, MeetingEndedError, Place
from tests.learning.toy import SPEC, batch_of, owed, random_battle, settings
from tests.waiting import WAIT_LIMIT


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


class Taking:
    """Takes steps together and knows the seeds of the learners whose steps were one."""

    def __init__(self) -> None:
        self.at_once: list[list[Learner]] = []

    def __call__(self, steps: Sequence[TrainingStep]) -> list[TakenStep]:
        self.at_once.append([step.learner for step in steps])
        return take_together(steps)


def learner(seed: int) -> Learner:
    return Learner(SPEC, settings(), seed)


def play(place: Place, learners: Sequence[Learner], steps: int, seed: int = 0) -> list[TakenStep]:
    """Play a run of so many training steps of all its learners; return what became of them."""
    rng = np.random.default_rng(seed)
    taken: list[TakenStep] = []
    with place:
        for _ in range(steps):
            batches = [batch_of(*(random_battle(rng) for _ in range(4))) for _ in learners]
            taken += place.take([owed(*each) for each in zip(learners, batches, strict=True)])
    return taken


def test_the_steps_of_all_runs_are_taken_as_one_in_the_order_of_the_runs(threads: Executor) -> None:
    take, first, second = Taking(), [learner(0), learner(1)], [learner(2)]
    meeting = Meeting(2, take)
    runs = [
        threads.submit(play, place, learners, 20, seed)
        for seed, (place, learners) in reversed(list(enumerate(zip(meeting.places, (first, second), strict=True))))
    ]
    taken = [run.result(WAIT_LIMIT) for run in reversed(runs)]
    assert take.at_once == [[*first, *second]] * 20
    assert [len(of_run) for of_run in taken] == [40, 20]


def test_each_run_gets_back_what_became_of_its_own_steps(threads: Executor) -> None:
    meeting = Meeting(2)
    together = [[learner(0), learner(1)], [learner(2)]]
    alone = [[learner(0), learner(1)], [learner(2)]]
    runs = [
        threads.submit(play, place, learners, 5, seed)
        for seed, (place, learners) in enumerate(zip(meeting.places, together, strict=True))
    ]
    for seed, run in enumerate(runs):
        expected = play(Meeting(1).places[0], alone[seed], 5, seed)
        losses = [taken.metrics.loss for taken in run.result(WAIT_LIMIT)]
        assert losses == pytest.approx([taken.metrics.loss for taken in expected], rel=1e-4)
        for one, other in zip(together[seed], alone[seed], strict=True):
            torch.testing.assert_close(one.state()[0], other.state()[0], rtol=0, atol=1e-5)


def test_a_run_that_ends_early_is_not_waited_for(threads: Executor) -> None:
    take, learners = Taking(), [learner(0), learner(1)]
    meeting = Meeting(2, take)
    runs = [
        threads.submit(play, place, [own], steps)
        for place, own, steps in zip(meeting.places, learners, (2, 5), strict=True)
    ]
    assert [len(run.result(WAIT_LIMIT)) for run in runs] == [2, 5]
    assert take.at_once == [learners] * 2 + [learners[1:]] * 3


def test_a_run_that_fails_is_not_waited_for(threads: Executor) -> None:
    meeting = Meeting(2)

    def fail(place: Place) -> None:
        with place:
            raise OSError("no room")

    other = threads.submit(play, meeting.places[1], [learner(1)], 3)
    failed = threads.submit(fail, meeting.places[0])
    assert isinstance(failed.exception(WAIT_LIMIT), OSError)
    assert len(other.result(WAIT_LIMIT)) == 3


def test_a_run_that_brings_no_steps_waits_for_no_other() -> None:
    assert Meeting(2).places[1].take([]) == []


def test_what_taking_the_steps_raises_reaches_every_run(threads: Executor) -> None:
    def fail(_: Sequence[TrainingStep]) -> list[TakenStep]:
        raise RuntimeError("out of memory")

    meeting = Meeting(2, fail)
    runs = [threads.submit(play, place, [learner(n)], 3) for n, place in enumerate(meeting.places)]
    for run in runs:
        with pytest.raises(RuntimeError, match="out of memory"):
            run.result(WAIT_LIMIT)


def test_the_end_of_a_meeting_reaches_every_run_that_waits_there_or_comes_later(threads: Executor) -> None:
    meeting = Meeting(2)
    run = threads.submit(play, meeting.places[0], [learner(0)], 1)  # it waits for the other
    meeting.end()
    later = threads.submit(play, meeting.places[1], [learner(1)], 1)
    assert isinstance(run.exception(WAIT_LIMIT), MeetingEndedError)
    assert isinstance(later.exception(WAIT_LIMIT), MeetingEndedError)
