"""The supervisor: what it tries again, what it says, and when it gives up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import pps_qmix.runtime.process_restart
import pps_qmix.runtime.supervisor
from pps_qmix.runtime.process_restart import RestartedProcess
from pps_qmix.runtime.processes import Part, PartFailedError, StopError
from pps_qmix.runtime.retry_policy import RetryPolicy
from pps_qmix.runtime.supervisor import supervise
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pps_qmix.runtime.supervisor, "PAUSE", 0.0)
    monkeypatch.setattr(pps_qmix.runtime.process_restart, "_PAUSE", 0.0)


class Run:
    """A run whose tries end as they are told to: with so many steps in the newest checkpoint, and a failure or none."""

    def __init__(self, *tries: tuple[int | None, Exception | None]) -> None:
        self._tries = list(tries)
        self._steps: int | None = None
        self.told: list[str] = []

    def play(self) -> None:
        self._steps, failure = self._tries.pop(0)
        if failure is not None:
            raise failure

    def supervised(self, retries: int) -> None:
        supervise(self.play, lambda: self._steps, retries, self.told.append)
        assert not self._tries


def failure(said: str = "the ServerApp ended. Its last words are in link.log:\n  oh") -> PartFailedError:
    return PartFailedError(said)


def test_a_failed_run_is_retried_and_each_reason_is_one_line() -> None:
    run = Run((0, failure()), (3000, failure("the SuperLink ended")), (5000, None))
    run.supervised(retries=2)
    assert run.told == [
        "the ServerApp ended. Its last words are in link.log; resuming from the beginning in 0 s (retry 1 of 2)",
        "the SuperLink ended; resuming from step 3,000 in 0 s (retry 1 of 2)",
    ]


def test_only_failures_without_a_new_round_between_them_count() -> None:
    run = Run(*[(1000 * i, failure()) for i in range(20)], (20000, None))
    run.supervised(retries=1)
    assert len(run.told) == 20

    run = Run(*[(1000, failure("no luck"))] * 4)
    with pytest.raises(PartFailedError, match=r"^given up after 3 retries in a row without a new round: no luck$"):
        run.supervised(retries=3)
    assert "retry 3 of 3" in run.told[-1]


def test_without_retries_the_first_failure_is_the_last() -> None:
    with pytest.raises(PartFailedError, match=r"^no luck$"):
        Run((1000, failure("no luck"))).supervised(retries=0)


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        (1000, StopError("cannot write: the disk is full")),
        (None, failure("Flower did not take the run")),  # no checkpoint to resume from
        (1000, ValueError("something else")),
    ],
)
def test_what_another_try_would_not_mend_is_final(steps: int | None, error: Exception) -> None:
    run = Run((steps, error))
    with pytest.raises(type(error), match=str(error)):
        run.supervised(retries=5)
    assert not run.told


def test_an_interrupt_is_not_a_failure() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervise(interrupted, lambda: 0, 5, lambda _: None)


def test_patience_waits_twice_as_long_each_time() -> None:
    patience = RetryPolicy(tries=4, pause=2.0)
    assert [patience.next_pause() for _ in range(5)] == [2.0, 4.0, 8.0, 16.0, None]
    patience.forget()
    assert patience.next_pause() == 2.0
    patient = RetryPolicy(tries=1000, pause=2.0)
    assert max(pause for _ in range(1000) if (pause := patient.next_pause()) is not None) == 300.0


@pytest.fixture
def ending(tmp_path: Path) -> Callable[[str], Part]:
    def start(script: str) -> Part:
        return Part("the part", ["sh", "-c", script], tmp_path / "log")

    return start


def test_a_part_is_started_again_until_it_ends_too_often(ending: Callable[[str], Part], tmp_path: Path) -> None:
    restarted, told = RestartedProcess(ending("echo begun; exit 3")), list[str]()

    def given_up() -> str | None:
        try:
            restarted.look(told.append)
        except PartFailedError as error:
            return str(error)
        return None

    said = wait_for(given_up, "the end of patience")
    assert said.startswith("the part ended (exit code 3).")
    assert told == ["the part ended (exit code 3); starting it again in 0 s"] * 5
    assert (tmp_path / "log").read_text() == "begun\n" * 6


def test_a_finished_round_makes_the_next_end_of_a_part_the_first(ending: Callable[[str], Part]) -> None:
    restarted, told = RestartedProcess(ending("exit 3")), list[str]()

    def ended_often() -> bool:
        restarted.forget()
        restarted.look(told.append)
        return len(told) > 12

    wait_for(ended_often, "many restarts")
