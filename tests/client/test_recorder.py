"""The recorder hands over exactly what a seat lived through."""

from __future__ import annotations

import numpy as np

from client.recorder import Recorder
from envproxy.protocol import Ended, Tick
from learning.settings import SeatSpec

SPEC = SeatSpec(seat=0, n_agents=2, obs_size=1, n_actions=2, episode_limit=3)


def tick(number: int, battles: list[int], seen: list[float], rewards: list[float], ended: list[int]) -> Tick:
    """A tick in which slot e sees the number seen[e] and may do both actions."""
    on = np.array(battles) != 0
    return Tick(
        tick=number,
        steps=0,
        observations=np.array(seen, np.float32)[:, None],
        available=np.repeat(on[:, None], 2, axis=1),
        rewards=np.array(rewards, np.float32),
        ended=np.array(ended, np.uint8),
        battles=np.array(battles, np.uint64),
    )


def acts(*actions: int) -> np.ndarray:
    return np.array(actions, np.uint8)


def test_a_battle_from_its_first_observation_to_its_last() -> None:
    recorder = Recorder(SPEC, 1)
    began, ended = recorder.see(tick(1, [9], [0.1], [0.0], [0]))
    assert began.tolist() == [True]
    assert ended == []
    recorder.acted(acts(1))
    assert recorder.see(tick(2, [9], [0.2], [5.0], [0]))[0].tolist() == [False]
    recorder.acted(acts(0))
    _, (battle,) = recorder.see(tick(3, [9], [0.3], [7.0], [Ended.TERMINATED | Ended.WON]))
    np.testing.assert_allclose(battle.observations[:, 0], [0.1, 0.2, 0.3])
    assert battle.actions.tolist() == [1, 0]
    assert battle.rewards.tolist() == [5.0, 7.0]
    assert battle.available.shape == (3, 2)
    assert battle.terminated


def test_a_battle_cut_by_its_limit_is_not_terminated() -> None:
    recorder = Recorder(SPEC, 1)
    for number in (1, 2, 3):
        recorder.see(tick(number, [9], [0.0], [0.0], [0]))
        recorder.acted(acts(1))
    _, (battle,) = recorder.see(tick(4, [9], [0.0], [1.0], [Ended.TRUNCATED]))
    assert battle.length == 3
    assert not battle.terminated


def test_slots_are_kept_apart_and_a_new_battle_begins_afresh() -> None:
    recorder = Recorder(SPEC, 2)
    recorder.see(tick(1, [1, 2], [0.1, 0.2], [0.0, 0.0], [0, 0]))
    recorder.acted(acts(1, 0))
    _, (first,) = recorder.see(tick(2, [1, 2], [0.3, 0.4], [1.0, 2.0], [Ended.TERMINATED, 0]))
    recorder.acted(acts(1, 1))  # what is answered to an ended battle means nothing
    began, _ = recorder.see(tick(3, [3, 2], [0.5, 0.6], [0.0, 3.0], [0, 0]))
    recorder.acted(acts(0, 1))
    _, ended = recorder.see(tick(4, [3, 2], [0.7, 0.8], [4.0, 5.0], [Ended.TERMINATED, Ended.TERMINATED]))
    assert began.tolist() == [True, False]
    assert (first.actions.tolist(), first.rewards.tolist()) == ([1], [1.0])
    third, second = ended
    assert (third.actions.tolist(), third.rewards.tolist()) == ([0], [4.0])
    assert (second.actions.tolist(), second.rewards.tolist()) == ([0, 1, 1], [2.0, 3.0, 5.0])
    np.testing.assert_allclose(second.observations[:, 0], [0.2, 0.4, 0.6, 0.8])


def test_a_battle_that_vanishes_is_forgotten() -> None:
    recorder = Recorder(SPEC, 1)
    recorder.see(tick(1, [9], [0.1], [0.0], [0]))
    recorder.acted(acts(1))
    assert recorder.see(tick(2, [0], [0.0], [0.0], [0]))[1] == []  # this seat was held
    began, _ = recorder.see(tick(3, [10], [0.5], [0.0], [0]))
    recorder.acted(acts(1))
    _, (battle,) = recorder.see(tick(4, [10], [0.6], [1.0], [Ended.TERMINATED]))
    assert began.tolist() == [True]
    np.testing.assert_allclose(battle.observations[:, 0], [0.5, 0.6])


def test_a_forgotten_battle_restarts_under_the_same_id() -> None:
    """A round that is played again has the same ids as the one that was cut off."""
    recorder = Recorder(SPEC, 1)
    recorder.see(tick(1, [9], [0.1], [0.0], [0]))
    recorder.acted(acts(1))
    recorder.forget()
    began, _ = recorder.see(tick(1, [9], [0.5], [0.0], [0]))
    recorder.acted(acts(0))
    _, (battle,) = recorder.see(tick(2, [9], [0.6], [1.0], [Ended.TERMINATED]))
    assert began.tolist() == [True]
    assert (battle.actions.tolist(), battle.length) == ([0], 1)


def test_a_void_battle_is_forgotten() -> None:
    recorder = Recorder(SPEC, 2)
    recorder.see(tick(1, [1, 2], [0.1, 0.2], [0.0, 0.0], [0, 0]))
    recorder.acted(acts(1, 1))
    _, ended = recorder.see(tick(2, [1, 2], [0.3, 0.4], [0.0, 1.0], [Ended.TRUNCATED | Ended.VOID, Ended.TERMINATED]))
    assert [battle.id for battle in ended] == [2]
