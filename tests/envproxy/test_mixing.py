"""Joint mixing as the seats of an arena live it: which battles they are asked for, and what becomes of a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envproxy.arena import Arena
from envproxy.mixer_store import MixerStore
from envproxy.protocol import (
    ArenaEvent,
    MixAbandoned,
    MixAnswer,
    MixBatch,
    MixGradient,
    MixHoldings,
    MixNorm,
    MixScale,
    MixUtilities,
    Phase,
    PhaseEnd,
    Standing,
    Tick,
)
from envproxy.seats import SeatError
from tests.envproxy.drill import SALUTE, Drill, Driver, collect, eager, evaluate, mix_order

LENGTH = 3


class Seats(Driver):
    """Seats that answer training steps by themselves, all with the same utilities, unless they are `mute`."""

    def __init__(self, arena: Arena) -> None:
        super().__init__(arena)
        self.mute: set[int] = set()
        self.held: dict[int, list[int]] = {seat: [] for seat in self.seats}

    def go_on(self) -> None:
        before = -1
        while before != (before := sum(map(len, self.heard))):
            heard = [len(events) for events in self.heard]
            super().go_on()
            for seat in self.seats:
                for event in self.heard[seat][heard[seat] :]:
                    self._take_in(seat, event)

    def of(self, kind: type[ArenaEvent], seat: int = 0) -> list[Any]:
        return [event for event in self.heard[seat] if isinstance(event, kind)]

    def last_tick(self, seat: int) -> Tick:
        return self.ticks(seat)[-1]

    def answer(self, *seats: int) -> None:
        for seat in seats or self.seats:
            tick = self.last_tick(seat)
            self.arena.act(seat, tick.tick, eager(tick, seat))
        self.go_on()

    def play_until(self, kind: type[ArenaEvent], *seats: int, seat: int = 0) -> Any:
        """Let these seats, or all, play until `seat` hears one more of a kind."""
        known = len(self.of(kind, seat))
        while len(self.of(kind, seat)) == known:
            self.answer(*seats)
        return self.of(kind, seat)[-1]

    def _take_in(self, seat: int, event: ArenaEvent) -> None:
        if isinstance(event, Tick):
            self.held[seat] += event.battles[event.ended > 0].tolist()
        elif seat not in self.mute and (answer := self.reply(seat, event)) is not None:
            self.arena.mix(seat, answer)

    def reply(self, seat: int, event: ArenaEvent) -> MixAnswer | None:
        if isinstance(event, MixBatch):
            if not set(event.battles.tolist()) <= set(self.held[seat]):
                return MixHoldings(event.step, np.array(self.held[seat], np.uint64))
            return MixUtilities(event.step, *np.ones((2, LENGTH, len(event.battles)), np.float32))
        return MixNorm(event.step, 4.0) if isinstance(event, MixGradient) else None


def joint(battles: int, standing: Standing | None = None, round_: int = 1, **changes: Any) -> Phase:
    return replace(collect(battles=battles, standing=standing, round_=round_), mixing=mix_order(**changes))


def arena(battles: int = 2, mixers: Path | None = None) -> Arena:
    return Arena(Drill(battles, length_of=lambda _: LENGTH), mixers)


def named(seats: Seats, seat: int = 0) -> set[int]:
    return {int(number) for batch in seats.of(MixBatch, seat) for number in batch.battles}


def test_every_battle_after_the_first_batch_is_worth_a_step_before_the_next_tick() -> None:
    seats = Seats(arena())
    seats.gather(joint(6, batch_size=3))
    seats.play_until(PhaseEnd)
    for seat in seats.seats:
        kinds = [type(event).__name__ for event in seats.heard[seat]]
        step = ["MixBatch", "MixGradient", "MixScale"]
        assert kinds == ["Seated", *["Tick"] * 8, *step * 2, *["Tick"] * 4, *step * 2, "PhaseEnd"]
    assert [event.step for event in seats.of(MixScale)] == [1, 2, 3, 4]
    assert [len(set(batch.battles.tolist())) for batch in seats.of(MixBatch)] == [3] * 4


def test_a_single_seat_or_an_evaluation_does_not_ask_the_mixer() -> None:
    for phase in (collect(battles=6), evaluate(battles=6)):
        seats = Seats(arena())
        seats.gather(phase)
        seats.play_until(PhaseEnd)
        assert not seats.of(MixBatch)


def test_the_sum_of_utilities_gets_its_gradient_and_all_clip_by_one_norm() -> None:
    """Three utilities of 1 each, rewards of 6 and then 4 (seat 0 has fallen); the last step has no future."""
    seats = Seats(arena())
    seats.gather(joint(2, batch_size=2, gamma=0.5, grad_clip=2.0))
    seats.play_until(PhaseEnd)
    targets = np.array([6 + 1.5, 4 + 1.5, 4])
    expected = 2 * (3 - targets) / LENGTH / 2
    for seat in seats.seats:
        (gradient,) = seats.of(MixGradient, seat)
        np.testing.assert_allclose(gradient.gradient, np.stack([expected] * 2, 1), rtol=1e-6)
        (scale,) = seats.of(MixScale, seat)
        assert scale.grad_norm == pytest.approx(12**0.5)  # 4 from each seat
        assert scale.scale == pytest.approx(2 / 12**0.5)
        assert scale.loss == pytest.approx(np.square(3 - targets).mean())
        assert scale.q_mean == pytest.approx(3.0)


def test_the_store_is_bounded_as_the_buffers_are() -> None:
    seats = Seats(arena())
    seats.gather(joint(20, batch_size=2, buffer_size=3))
    seats.play_until(PhaseEnd)
    assert set(seats.of(MixBatch)[-1].battles.tolist()) <= set(seats.held[0][-3:])


def test_a_battle_that_a_present_seat_missed_is_not_named_and_the_others_play_on() -> None:
    seats = Seats(arena())
    seats.gather(joint(12, batch_size=2, train_per_battle=3.0))
    for seat in (0, 1):
        seats.arena.act(seat, 1, eager(seats.last_tick(seat)))
    assert seats.arena.hold_silent() == [2]
    seats.go_on()
    seats.play_until(MixScale, 0, 1)  # two seats are enough, and their utilities are summed
    assert seats.of(MixScale)[-1].q_mean == pytest.approx(2.0)
    missed = set(seats.held[0])
    assert missed
    assert not seats.of(MixBatch, 2)
    seats.arena.act(2, 1, eager(seats.last_tick(2)))  # it wakes
    while not isinstance(seats.heard[0][-1], PhaseEnd):
        waiting = [seat for seat in seats.arena.awaited if seats.ticks(seat)]
        seats.answer(*waiting)
    assert named(seats, 2)
    assert not named(seats, 2) & missed
    assert named(seats, 2) <= set(seats.held[2])


def test_seats_that_are_named_train_without_one_that_is_not_and_with_it_when_it_comes() -> None:
    seats = Seats(arena())
    phase = replace(joint(12, batch_size=2), seats=frozenset([0, 1]))
    seats.gather(phase, [0, 1])
    seats.play_until(MixScale, 0, 1)
    assert seats.of(MixScale)[-1].q_mean == pytest.approx(2.0)
    without = set(seats.held[0])
    seats.gather(phase, [2])
    while not seats.ticks(2):
        seats.answer(0, 1)
    seats.play_until(PhaseEnd)
    assert seats.of(MixScale)[-1].q_mean == pytest.approx(3.0)
    assert named(seats, 2)
    assert not named(seats, 2) & without
    assert not seats.of(MixAbandoned)


def test_a_seat_that_lost_battles_says_what_it_holds_and_it_costs_one_batch() -> None:
    seats = Seats(arena())
    seats.gather(joint(16, batch_size=2))
    seats.play_until(MixScale)
    lost = set(seats.held[1])
    seats.held[1] = []
    seats.play_until(MixAbandoned)
    tried = seats.of(MixBatch)[-1].step
    assert [event.step for event in seats.of(MixAbandoned, 2)] == [tried]
    seats.play_until(PhaseEnd)
    assert len(seats.of(MixAbandoned)) == 1
    later = [batch for batch in seats.of(MixBatch) if batch.step > tried]
    assert later
    assert not {int(i) for batch in later for i in batch.battles} & lost


def leave_and_hold(seats: Seats) -> None:
    seats.arena.leave(1)
    seats.arena.hold_silent()


GONE: dict[str, Callable[[Seats], object]] = {
    "silent": lambda seats: seats.arena.hold_silent(),
    "gone": leave_and_hold,
}


@pytest.mark.parametrize("kind", [MixBatch, MixGradient])  # what it does not answer
@pytest.mark.parametrize("fate", GONE)
def test_a_seat_that_drops_out_in_a_step_costs_all_one_batch(kind: type[ArenaEvent], fate: str) -> None:
    seats = Seats(arena())
    seats.gather(joint(12, batch_size=2))
    if kind is MixBatch:
        seats.mute = {1}
    else:
        reply = seats.reply
        seats.reply = lambda seat, event: None if (seat, type(event)) == (1, kind) else reply(seat, event)  # type: ignore[method-assign]
    seats.play_until(kind)
    assert seats.arena.awaited == [1]
    GONE[fate](seats)
    seats.go_on()
    step = seats.of(MixBatch)[0].step
    assert [event.step for event in seats.of(MixAbandoned)] == [step] == [e.step for e in seats.of(MixAbandoned, 2)]
    seats.play_until(PhaseEnd, 0, 2)
    assert len(seats.of(MixScale)) == len(seats.of(MixScale, 2)) > 5
    assert not seats.of(MixScale, 1)


def test_a_seat_that_comes_back_in_a_step_abandons_it_and_trains_again() -> None:
    seats = Seats(arena())
    phase = joint(12, batch_size=2)
    seats.gather(phase)
    seats.mute = {1}
    seats.play_until(MixBatch)
    seats.arena.leave(1)
    seats.arena.propose(1, phase)
    seats.mute = set()
    seats.go_on()
    assert [event.step for event in seats.of(MixAbandoned)] == [1]
    assert not seats.of(MixAbandoned, 1)  # it knows nothing of a step
    assert seats.play_until(MixScale, seat=1).step > 1


def test_a_late_answer_to_an_abandoned_step_is_not_a_fault() -> None:
    seats = Seats(arena())
    seats.gather(joint(12, batch_size=2))
    seats.mute = {1}
    batch = seats.play_until(MixBatch)
    seats.arena.hold_silent()
    seats.mute = set()
    seats.arena.mix(1, MixUtilities(batch.step, *np.ones((2, LENGTH, 2), np.float32)))
    seats.go_on()
    assert seats.of(MixAbandoned, 1)
    assert seats.play_until(MixScale, seat=1).step > batch.step


RATE = "the likely cause is the learning-rate of 0.01: choose a smaller one"
UTILITIES = np.ones((2, LENGTH, 2), np.float32)
WRONG: dict[str, tuple[Callable[[Arena], None], str]] = {
    "shape": (
        lambda a: a.mix(1, MixUtilities(1, *UTILITIES[:, 1:])),
        r"utilities of seat 1 of shape \(2, 2\); expected \(3, 2\)",
    ),
    "nan": (
        lambda a: a.mix(1, MixUtilities(1, *UTILITIES * np.nan)),
        f"of seat 1 that are not all numbers below 1e.09.*{RATE}",
    ),
    "huge": (
        lambda a: a.mix(1, MixUtilities(1, *UTILITIES * -1e9)),
        f"of seat 1 that are not all numbers below 1e.09.*{RATE}",
    ),
    "future": (lambda a: a.mix(1, MixUtilities(2, *UTILITIES)), "an answer to training step 2; there were 1"),
    "norm": (lambda a: a.mix(1, MixNorm(1, 1.0)), "a gradient norm before the gradient of training step 1"),
    "act": (lambda a: a.act(1, 4, np.full(2, SALUTE, np.uint8)), "expected one to the training step that is on"),
    "all held": (
        lambda a: a.mix(1, MixHoldings(1, np.arange(2**32, 2**32 + 9, dtype=np.uint64))),
        "expected utilities",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_answer_is_refused_and_affects_no_other_seat(fault: str) -> None:
    seats = Seats(arena())
    seats.gather(joint(4, batch_size=2))
    seats.mute = {1}
    seats.play_until(MixBatch)
    do, words = WRONG[fault]
    with pytest.raises(SeatError, match=words):
        do(seats.arena)
    seats.mute = set()
    seats.arena.mix(1, MixUtilities(1, *UTILITIES))
    seats.go_on()
    assert seats.of(MixScale, 2)[0].step == 1


@pytest.mark.parametrize("squared", [-1.0, np.inf, np.nan])
def test_a_norm_is_a_finite_number(squared: float) -> None:
    seats = Seats(arena())
    honest = seats.reply

    def reply(seat: int, event: ArenaEvent) -> MixAnswer | None:
        return MixNorm(1, squared) if isinstance(event, MixGradient) and seat == 1 else honest(seat, event)

    seats.reply = reply  # type: ignore[method-assign]
    seats.gather(joint(4, batch_size=2))
    with pytest.raises(SeatError, match="expected a finite number of at least 0"):
        seats.play_until(MixScale)


def test_answers_to_steps_that_are_not_on_are_refused() -> None:
    seats = Seats(arena())
    with pytest.raises(SeatError, match="no training step is on for this seat"):
        seats.arena.mix(0, MixNorm(0, 1.0))
    seats.gather(collect(battles=4))
    with pytest.raises(SeatError, match="no training step is on for this seat"):
        seats.arena.mix(0, MixNorm(0, 1.0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base": "iql"}, "base 'iql'; expected vdn or qmix"),
        ({"run": "../x"}, "run id '../x'; expected up to 64 letters and digits"),
        ({"run": ""}, "run id ''"),
        ({"batch_size": 9}, "batches of 9 of 8 battles; expected 1..buffer-size"),
        ({"batch_size": 0}, "batches of 0"),
        (
            {"batch_size": 10**6, "buffer_size": 10**6},
            "batches of 1000000 battles; on drill joint mixing takes up to 87210",
        ),
        ({"learning_rate": float("nan")}, "a mixer with numbers"),
        ({"target_update_every": 0}, "target-update-every 0"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SeatError, match=f"joint mixing with .*{words}"):
        arena().propose(0, joint(4, **changes))


def test_the_mixer_is_kept_and_taken_up_by_the_next_proxy(tmp_path: Path) -> None:
    store = MixerStore(tmp_path / "id", 100)
    first = Seats(arena(mixers=tmp_path))
    first.gather(joint(9, base="qmix"))
    standing = first.play_until(PhaseEnd).standing
    first.gather(joint(9, standing, base="qmix"))  # the round's second phase
    first.play_until(PhaseEnd)
    kept = store.load(1)
    assert kept is not None
    assert kept[1]["learner"]["steps"] == len(first.of(MixScale)) > 10
    assert {name.split(".")[0] for name in kept[0]} == {"online", "target", "adam"}

    second = Seats(arena(mixers=tmp_path))  # with the battles that both have, it trains on at once
    second.held = {seat: list(held) for seat, held in first.held.items()}
    second.gather(joint(1, round_=2, base="qmix"))
    second.play_until(PhaseEnd)
    again = store.load(2)
    assert again is not None
    assert again[1]["learner"]["steps"] == kept[1]["learner"]["steps"] + 1
    assert any((again[0][name] != tensor).any() for name, tensor in kept[0].items())

    # a round that is played again begins with what the round before it left, here nothing
    replayed = Seats(arena(mixers=tmp_path))
    replayed.gather(joint(1, base="qmix"))
    replayed.play_until(PhaseEnd)
    replaced = store.load(1)
    assert replaced is not None
    assert replaced[1]["learner"]["steps"] == 0
    assert not list((tmp_path / "id").glob("*-000002*"))  # nor does what came after it stay


def test_the_next_proxy_draws_from_the_battles_before_it(tmp_path: Path) -> None:
    first = Seats(arena(mixers=tmp_path))
    first.gather(joint(9, base="qmix"))
    first.play_until(PhaseEnd)
    second = Seats(arena(mixers=tmp_path))
    second.held = first.held
    second.gather(joint(12, round_=2, base="qmix"))
    second.play_until(PhaseEnd)
    assert set(first.held[0]) & named(second)

    # what devices have lost is not asked of them twice
    third = Seats(arena(mixers=tmp_path))
    third.gather(joint(4, round_=3, base="qmix"))
    third.play_until(PhaseEnd)
    assert len(third.of(MixAbandoned)) == 1
    assert not set(third.held[0]) & set(first.held[0])


def test_battles_that_cannot_be_read_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Seats(arena(mixers=tmp_path))
    first.gather(joint(9))
    first.play_until(PhaseEnd)
    (kept,) = (tmp_path / "id").glob("battles-*")
    kept.write_bytes(kept.read_bytes()[:-1])
    second = Seats(arena(mixers=tmp_path))
    second.gather(joint(9, round_=2))
    second.play_until(PhaseEnd)
    assert f"{kept} cannot be read" in caplog.text
    assert named(second) <= set(second.held[0])


def test_a_mixer_that_was_kept_of_other_settings_does_not_stop_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Seats(arena(mixers=tmp_path))
    first.gather(joint(6, base="qmix"))
    first.play_until(PhaseEnd)
    second = Seats(arena(mixers=tmp_path))
    second.gather(joint(6, round_=2, base="vdn"))
    second.play_until(PhaseEnd)
    assert "the mixer kept of run id does not fit" in caplog.text
    assert [event.step for event in second.of(MixScale)] == [1, 2, 3, 4, 5]


def test_only_battles_that_could_be_drawn_are_kept(tmp_path: Path) -> None:
    seats = Seats(arena(mixers=tmp_path))
    for round_ in range(1, 8):
        seats.gather(joint(4, round_=round_))  # of 8
        seats.play_until(PhaseEnd)
    files = sorted(path.name for path in (tmp_path / "id").iterdir())
    assert files == [
        *(f"battles-{round_:06d}-0.safetensors" for round_ in (4, 5, 6, 7)),
        *(f"round-{round_:06d}.safetensors" for round_ in (5, 6, 7)),
    ]


def test_another_run_has_another_mixer_and_other_battles(tmp_path: Path) -> None:
    seats = Seats(arena(mixers=tmp_path))
    seats.gather(joint(6))
    seats.play_until(PhaseEnd)
    before = named(seats)
    seats.gather(joint(6, run="other", standing=Standing(index=9)))
    seats.play_until(PhaseEnd)
    assert len(seats.of(MixScale)) == 10
    assert {int(i) for batch in seats.of(MixBatch)[5:] for i in batch.battles}.isdisjoint(before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["id", "other"]
