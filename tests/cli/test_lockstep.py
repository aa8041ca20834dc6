"""Seats that learn at the same time: they do, and what goes wrong is told as if they learned one after the other."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch

from client.play import Round, RoundReport, advance, play_round
from envproxy.arena import Arena
from envproxy.backend import create_backend
from envproxy.protocol import MixBatch
from learning.learner import TakenStep, TrainingStep
from learning.stacked import take_together
from pps_qmix.runtime.lockstep import play_in_lockstep, play_teams, team_round
from pps_qmix.runtime.side_by_side import Threads
from tests.client import test_agent as solo
from tests.client.joint_team import E, N, agents, order
from tests.envproxy.drill import Parade
from tests.waiting import WAIT_LIMIT, wait_for


@pytest.fixture
def threads() -> Iterator[Threads]:
    found = Threads(N)
    yield found
    found.close()


def before_learning(round_: Round, act: Callable[[], object]) -> Round:
    """The round, which does something before every training step."""
    answer = advance(round_, None)
    while not isinstance(answer, RoundReport):
        event = yield answer
        assert not isinstance(event, TakenStep)
        if isinstance(event, MixBatch):
            act()
        answer = advance(round_, event)
    return answer


def play(home: Path, threads: Threads | None, *acts: Callable[[], object]) -> list[RoundReport]:
    """Play a round of joint mixing in which every seat does something before it learns."""
    arena = Arena(Parade(E, N))
    rounds = [play_round(agent, order("vdn")) for agent in agents(home, arena, "vdn")]
    return play_in_lockstep(arena, [before_learning(*each) for each in zip(rounds, acts, strict=True)], threads)


def test_seats_learn_at_the_same_time(tmp_path: Path, threads: Threads) -> None:
    together = threading.Barrier(N, timeout=WAIT_LIMIT)  # raises where they come one after the other
    reports = play(tmp_path, threads, *[together.wait] * N)
    assert [report.training_steps for report in reports] == [20] * N


def test_without_threads_they_learn_in_this_thread(tmp_path: Path) -> None:
    seen: list[threading.Thread] = []
    play(tmp_path, None, *[lambda: seen.append(threading.current_thread())] * N)
    assert set(seen) == {threading.current_thread()}


def test_the_error_of_the_first_seat_that_fails_arrives(tmp_path: Path, threads: Threads) -> None:
    second_failed = threading.Event()

    def fail_second() -> None:
        second_failed.set()
        raise ValueError("the second")

    def fail_first() -> None:
        assert second_failed.wait(WAIT_LIMIT)
        raise OSError("the first")

    with pytest.raises(OSError, match="the first"):
        play(tmp_path, threads, lambda: None, fail_first, fail_second)


def test_an_interrupt_does_not_wait_for_the_learners(tmp_path: Path, threads: Threads) -> None:
    together, interrupted, ended = threading.Barrier(N, timeout=WAIT_LIMIT), threading.Event(), threading.Event()
    waited: list[bool] = []

    def raise_once(number: int, frame: FrameType | None) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    def interrupt() -> None:
        together.wait()

        def seen() -> bool:
            # Python sees a signal that comes while the main thread falls asleep only when it wakes: send another.
            os.kill(os.getpid(), signal.SIGINT)
            return interrupted.wait(0.1)

        wait_for(seen, "the interrupt")
        waited.append(ended.wait(WAIT_LIMIT))

    handler = signal.signal(signal.SIGINT, raise_once)

    try:
        with pytest.raises(KeyboardInterrupt):
            play(tmp_path, threads, interrupt, together.wait, together.wait)
    finally:
        ended.set()
        signal.signal(signal.SIGINT, handler)
    threads.close()
    assert waited == [True]


@pytest.mark.parametrize("threaded", [False, True])
def test_the_others_play_on_without_a_seat_whose_utilities_are_not_finite(
    tmp_path: Path, threads: Threads, threaded: bool
) -> None:
    arena = Arena(Parade(E, N))
    team = agents(tmp_path, arena, "vdn")
    with torch.no_grad():
        team[1].learner.network.fc2.bias.fill_(float("nan"))
    reports = play_in_lockstep(
        arena, [play_round(agent, order("vdn")) for agent in team], threads if threaded else None
    )
    assert [report.training_steps > 0 for report in reports] == [True, False, True]
    assert [all(math.isfinite(each.loss) for each in report.train_metrics) for report in reports] == [True, False, True]
    assert all(np.isfinite(t).all() for agent in (team[0], team[2]) for t in agent.learner.tensors().values())


def test_the_time_until_all_are_ready_to_learn_is_of_waiting(tmp_path: Path) -> None:
    arena = Arena(create_backend("skirmish", "3m", solo.E))
    rounds = [play_round(agent, solo.ORDER) for agent in solo.agents(tmp_path, arena)]
    playing = team_round(arena, rounds)
    late, times, seconds = 0.05, 0, 0.0
    steps = next(playing)
    while True:
        taken = take_together(steps)
        time.sleep(late)
        times += 1
        seconds += taken[0].seconds
        try:
            steps = playing.send(taken)
        except StopIteration as over:
            reports: list[RoundReport] = over.value
            break
    arena.close()
    assert times > 1
    for report in reports:
        assert report.training_steps == times
        assert report.waiting >= times * late
        assert seconds <= report.learning < seconds + times * late


def test_teams_learn_together_until_one_has_ended_its_round(tmp_path: Path) -> None:
    at_once: list[int] = []

    def take(steps: Sequence[TrainingStep]) -> list[TakenStep]:
        at_once.append(len(steps))
        return take_together(steps)

    arenas = [Arena(create_backend("skirmish", "3m", solo.E)) for _ in range(2)]
    orders = [dataclasses.replace(solo.ORDER, battles=battles) for battles in (4, 6)]
    teams = [solo.agents(tmp_path / str(n), arena) for n, arena in enumerate(arenas)]
    reports = play_teams(
        [
            team_round(arena, [play_round(agent, order) for agent in team])
            for arena, team, order in zip(arenas, teams, orders, strict=True)
        ],
        take,
    )
    for arena in arenas:
        arena.close()
    shorter, longer = (of_team[0].training_steps for of_team in reports)
    assert 0 < shorter < longer
    assert at_once == [2 * N] * shorter + [N] * (longer - shorter) + [0]
