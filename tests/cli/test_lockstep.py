"""Seats that learn at the same time: they do, and what goes wrong is told as if they learned one after the other."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch

from client.play import Round, RoundReport, advance, play_round
from envproxy.arena import Arena
from envproxy.protocol import MixBatch
from pps_qmix.runtime.lockstep import play_in_lockstep
from tests.client.joint_team import E, N, agents, order
from tests.envproxy.drill import Parade
from tests.waiting import WAIT_LIMIT, wait_for


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(N) as threads:
        yield threads


def before_learning(round_: Round, act: Callable[[], object]) -> Round:
    """The round, which does something before every training step."""
    answer = advance(round_, None)
    while not isinstance(answer, RoundReport):
        event = yield answer
        if isinstance(event, MixBatch):
            act()
        answer = advance(round_, event)
    return answer


def play(home: Path, pool: Executor | None, *acts: Callable[[], object]) -> list[RoundReport]:
    """Play a round of joint mixing in which every seat does something before it learns."""
    arena = Arena(Parade(E, N))
    rounds = [play_round(agent, order("vdn")) for agent in agents(home, arena, "vdn")]
    return play_in_lockstep(arena, [before_learning(*each) for each in zip(rounds, acts, strict=True)], pool)


def test_seats_learn_at_the_same_time(tmp_path: Path, pool: Executor) -> None:
    together = threading.Barrier(N, timeout=WAIT_LIMIT)  # raises where they come one after the other
    reports = play(tmp_path, pool, *[together.wait] * N)
    assert [report.training_steps for report in reports] == [20] * N


def test_without_a_pool_they_learn_in_this_thread(tmp_path: Path) -> None:
    seen: list[threading.Thread] = []
    play(tmp_path, None, *[lambda: seen.append(threading.current_thread())] * N)
    assert set(seen) == {threading.current_thread()}


def test_the_error_of_the_first_seat_that_fails_arrives(tmp_path: Path, pool: Executor) -> None:
    second_failed = threading.Event()

    def fail_second() -> None:
        second_failed.set()
        raise ValueError("the second")

    def fail_first() -> None:
        assert second_failed.wait(WAIT_LIMIT)
        raise OSError("the first")

    with pytest.raises(OSError, match="the first"):
        play(tmp_path, pool, lambda: None, fail_first, fail_second)


def test_an_interrupt_does_not_wait_for_the_learners(tmp_path: Path, pool: Executor) -> None:
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
            play(tmp_path, pool, interrupt, together.wait, together.wait)
    finally:
        ended.set()
        signal.signal(signal.SIGINT, handler)
    pool.shutdown()
    assert waited == [True]


@pytest.mark.parametrize("pooled", [False, True])
def test_the_others_play_on_without_a_seat_whose_utilities_are_not_finite(
    tmp_path: Path, pool: Executor, pooled: bool
) -> None:
    arena = Arena(Parade(E, N))
    team = agents(tmp_path, arena, "vdn")
    with torch.no_grad():
        team[1].learner.network.fc2.bias.fill_(float("nan"))
    reports = play_in_lockstep(arena, [play_round(agent, order("vdn")) for agent in team], pool if pooled else None)
    assert [report.training_steps > 0 for report in reports] == [True, False, True]
    assert [all(math.isfinite(each.loss) for each in report.train_metrics) for report in reports] == [True, False, True]
    assert all(np.isfinite(t).all() for agent in (team[0], team[2]) for t in agent.learner.tensors().values())
