"""Battles that the backend loses: they are told as void, replaced, and counted nowhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from envproxy.arena import Arena
from envproxy.backend import StepResult
from envproxy.phases import battle_id, battle_seed
from envproxy.protocol import Ended, Phase, PhaseEnd, RewardOrder, Tick
from tests.envproxy.drill import Drill, Driver, Parade, collect, evaluate, mix_order


class Lossy(Drill):
    """A drill that loses the battles of some seeds on their second step."""

    def __init__(self, battles: int, lost: set[int], lasts: int = 3) -> None:
        super().__init__(battles, length_of=lambda _: lasts)
        self._lost = lost

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        on = self._steps < self._lengths
        result = super().step(actions)
        void = on & (self._steps == 2) & np.isin(self._seeds, list(self._lost))
        self._steps[void] = self._lengths[void]
        kept = ~void
        return StepResult(
            result.reward * kept, result.terminated & kept, (result.truncated & kept) | void, result.won & kept, void
        )


class LossyParade(Lossy, Parade):
    """The same with a state that a mixer can use."""

    def __init__(self, battles: int, lost: set[int]) -> None:
        Parade.__init__(self, battles)
        self._length_of = lambda _: 3
        self._lost = lost


def seeds(phase: Phase, *numbers: int) -> set[int]:
    return {battle_seed(phase, number) for number in numbers}


def played(phase: Phase, lost: set[int], slots: int = 1, lasts: int = 3) -> tuple[Driver, PhaseEnd]:
    driver = Driver(Arena(Lossy(slots, lost, lasts)))
    driver.gather(phase)
    return driver, driver.play_out()


def test_the_seats_are_told_of_a_void_battle_with_its_last_observation() -> None:
    phase = collect(battles=1)
    driver, _ = played(phase, seeds(phase, 0))
    void = next(tick for tick in driver.ticks(0) if tick.ended.any())
    assert void.ended.tolist() == [Ended.TRUNCATED | Ended.VOID]
    assert void.rewards.tolist() == [0.0]
    assert not void.counted.any()
    assert int(void.battles[0]) == battle_id(phase, 0)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_a_phase_of_n_battles_plays_n_that_count(slots: int) -> None:
    phase = evaluate(battles=4)
    driver, end = played(phase, seeds(phase, 0, 2), slots)
    assert end.battles == 4
    assert end.steps == 4 * 3, "the steps of void battles do not count"
    begun = {int(each) for tick in driver.ticks(0) for each in tick.battles if each}
    assert begun == {battle_id(phase, number) for number in range(6)}
    assert driver.arena.played.void == 2
    assert driver.arena.played.won + driver.arena.played.lost == 4


def test_returns_and_steps_are_those_of_a_phase_without_the_void_battles() -> None:
    phase = evaluate(battles=3)
    _, whole = played(phase, set())
    _, with_void = played(phase, seeds(phase, 1))
    assert (with_void.return_sum, with_void.steps, with_void.won) == (whole.return_sum, whole.steps, whole.won)


def test_a_phase_bounded_by_steps_counts_those_of_battles_that_count() -> None:
    phase = collect(steps=6)
    _, end = played(phase, seeds(phase, 0))
    assert (end.battles, end.steps) == (2, 6)
    assert end.standing.battles == 2


def test_battles_of_a_phase_that_was_given_up_are_not_counted_in_the_next_one() -> None:
    """The backend has them on still, in slots that the next phase does not use."""
    given_up, phase = collect(battles=3), evaluate(battles=1, round_=2)
    _, whole = played(phase, set())
    driver = Driver(Arena(Lossy(3, seeds(given_up, 1, 2))))
    driver.gather(given_up)
    driver.answer()
    for seat in driver.seats:
        driver.arena.leave(seat)
    driver.gather(phase)
    end = driver.play_out()
    assert (end.battles, end.steps, end.return_sum) == (1, whole.steps, whole.return_sum)
    assert driver.arena.played.void == 0


def test_what_a_seat_earns_is_without_void_battles() -> None:
    order = RewardOrder("id", 10, "team")
    phase = replace(collect(battles=2), rewards=order)
    _, whole = played(phase, set())
    _, with_void = played(phase, seeds(phase, 0))
    assert whole.earned is not None
    assert with_void.earned is not None
    assert (with_void.earned.battles, with_void.earned.reward) == (whole.earned.battles, whole.earned.reward)


def test_a_void_battle_is_none_to_train_on_jointly() -> None:
    phase = replace(collect(battles=2), mixing=mix_order(batch_size=3))
    driver = Driver(Arena(LossyParade(1, seeds(phase, 0))))
    driver.gather(phase)
    driver.play_out()  # three battles were begun, which would be a batch
    assert all(isinstance(event, Tick | PhaseEnd) for event in driver.heard[0][1:])
