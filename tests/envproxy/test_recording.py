"""A recorder plays what it records as if it were not there, and remembers every step."""

from __future__ import annotations

import numpy as np

from envproxy.backend import StepResult
from envproxy.backends.skirmish import Skirmish, create
from envproxy.backends.skirmish.policies import nearest
from envproxy.backends.skirmish.records import ON
from envproxy.recording import FRAME, NO_UNIT, Outcome, Recorder
from envproxy.rules import SMAC_RULES

RNG = np.random.default_rng(0)


def seeds(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(numbers, np.uint64)


def play(recorder: Recorder, steps: int = 10**6) -> None:
    """Play on until no battle is on, or for some steps."""
    battles = recorder.recorded
    assert isinstance(battles, Skirmish)
    for _ in range(steps):
        if not (battles.progress["phase"] == ON).any():
            return
        recorder.step(nearest(battles, recorder.observe(), RNG))


def test_every_step_is_remembered_as_it_was() -> None:
    bare, recorder = create("2s3z", 2), Recorder(create("2s3z", 2))
    both = np.ones(2, np.bool_)
    bare.reset(both, seeds(5, 6))
    recorder.reset(both, seeds(5, 6))
    units, rewards, ends = [bare.units.copy()], [], np.zeros(2, np.int64)
    while not ends.all():
        actions = nearest(bare, bare.observe(), RNG)
        result, recorded = bare.step(actions), recorder.step(actions)
        for one, other in zip(result, recorded, strict=True):
            assert np.array_equal(one, other)
        units.append(bare.units.copy())
        rewards.append(result.reward)
        ends[(result.terminated | result.truncated) & (ends == 0)] = len(rewards)

    recordings = recorder.recordings()
    assert [recording.steps for recording in recordings] == ends.tolist()
    for slot, recording in enumerate(recordings):
        assert np.array_equal(recording.rewards, [reward[slot] for reward in rewards[: ends[slot]]])
        assert len(recording.frames) == ends[slot] + 1
        for frame, then in zip(recording.frames, units, strict=False):
            for name in FRAME.names or ():
                assert np.array_equal(frame[name], then[slot][name].astype(FRAME[name])), name
        assert (recording.outcome is Outcome.WON) == bool(recording.frames["health"][-1, :5].any())


def test_shots_have_victims_of_the_other_side() -> None:
    recorder = Recorder(create("3m", 1))
    recorder.reset(np.ones(1, np.bool_), seeds(1))
    play(recorder)
    (recording,) = recorder.recordings()
    shot_at = recording.shot_at()
    shots = recording.frames["shots"]
    assert shot_at.shape == shots.shape
    assert (shot_at[0] == NO_UNIT).all()
    assert ((shot_at[1:] != NO_UNIT) == (shots[1:] > shots[:-1])).all()
    for_allies, for_enemies = shot_at[:, :3], shot_at[:, 3:]
    assert set(for_allies[for_allies != NO_UNIT]) == {3, 4, 5}
    assert set(for_enemies[for_enemies != NO_UNIT]) <= {0, 1, 2}


def test_battles_are_in_the_order_in_which_they_began() -> None:
    recorder = Recorder(create("3m", 2))
    recorder.reset(np.array([False, True]), seeds(0, 8))
    assert recorder.recordings() == []  # it is not over
    play(recorder, steps=3)
    recorder.reset(np.array([True, False]), seeds(9, 0))
    play(recorder)
    recorder.reset(np.array([True, False]), seeds(8, 0))
    play(recorder)
    first, second, third = recorder.recordings()
    assert not np.array_equal(first.frames[0], second.frames[0])
    assert np.array_equal(first.frames[0], third.frames[0])  # the same seed


class Losing(Skirmish):
    """Loses the battle of slot 0 in the third step."""

    taken = 0

    def step(self, actions: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> StepResult:
        result = super().step(actions)
        self.taken += 1
        if self.taken == 3:
            self.progress["phase"][0] = 0
            result.truncated[0] = result.void[0] = True
        return result


def test_a_battle_that_the_backend_loses_is_forgotten() -> None:
    recorder = Recorder(Losing("3m", 2, SMAC_RULES))
    recorder.reset(np.ones(2, np.bool_), seeds(8, 9))
    play(recorder)
    (kept,) = recorder.recordings()
    recorder.reset(np.array([True, False]), seeds(8, 0))
    play(recorder)
    first, second = recorder.recordings()
    assert np.array_equal(first.frames, kept.frames)
    assert not np.array_equal(second.frames[0], first.frames[0])
    assert second.steps > 3


def test_how_a_battle_ended() -> None:
    """Told from the last moment of a battle whose units are put there by the test."""

    def end(allies: list[float], enemies: list[float], steps: int = 0) -> Outcome:
        battles = create("3m", 1)
        recorder = Recorder(battles)
        recorder.reset(np.ones(1, np.bool_), seeds(1))
        battles.units["health"][0] = allies + enemies
        battles.progress["steps"] = steps
        recorder.step(np.where(np.array(allies) > 0.0, 1, 0).astype(np.uint8)[None])
        (recording,) = recorder.recordings()
        return recording.outcome

    assert end([1.0, 0.0, 0.0], [0.0, 0.0, 0.0]) is Outcome.WON
    assert end([0.0, 0.0, 0.0], [0.0, 1.0, 0.0]) is Outcome.LOST
    assert end([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]) is Outcome.DRAWN
    assert end([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], steps=59) is Outcome.TIMED_OUT
