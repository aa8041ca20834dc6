"""The ring of battles: what is stored, what is sampled, what survives."""

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.battle import Battle
from learning.buffer import BattleBuffer
from learning.packing import Packing
from tests.disks import fill, small_disk
from tests.learning.toy import SPEC, marked_battle, marks, random_battle


class Deadly:
    """An array of which no more than the shape can be read: the process ends there."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __array__(self, *_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


def killed_while_adding(directory: Path, capacity: int, counters: dict[str, int], *whole: int) -> None:
    """Another process reopens the ring, adds whole battles, and is killed in the middle of one more."""
    child = os.fork()
    if child == 0:
        try:
            buffer = BattleBuffer(directory, capacity, SPEC)
            buffer.restore(counters)
            for mark in whole:
                buffer.add(marked_battle(mark))
            torn: Any = Deadly((2,))
            buffer.add(dataclasses.replace(marked_battle(99), rewards=torn))
        finally:
            os._exit(1)  # not reached unless something is wrong: the child must not go on as a test run
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def stored_marks(buffer: BattleBuffer) -> list[int]:
    return marks(buffer.sample(np.random.default_rng(0), len(buffer)))


def test_a_sampled_batch_holds_the_battles_time_major_longest_first() -> None:
    rng = np.random.default_rng(0)
    battles = {length: random_battle(rng, length) for length in (2, 5, 3)}
    buffer = BattleBuffer(None, 10, SPEC)
    for battle in battles.values():
        buffer.add(battle)
    batch = buffer.sample(rng, 3)
    assert batch.lengths.tolist() == [5, 3, 2]
    assert batch.sizes.tolist() == [3, 3, 3, 2, 1, 1]
    packing = Packing.of(batch.lengths + 1)
    inputs, available = packing.unpack(batch.inputs), packing.unpack(batch.available)
    assert inputs.shape == (6, 3, SPEC.input_size)
    assert available.shape == (6, 3, SPEC.n_actions)
    assert batch.actions.shape == batch.rewards.shape == (5, 3)
    for column, length in enumerate((5, 3, 2)):
        battle = battles[length]
        np.testing.assert_array_equal(inputs[: length + 1, column, : SPEC.obs_size].numpy(), battle.observations)
        np.testing.assert_array_equal(available[: length + 1, column].numpy(), battle.available)
        np.testing.assert_array_equal(batch.actions[:length, column].numpy(), battle.actions)
        np.testing.assert_array_equal(batch.rewards[:length, column].numpy(), battle.rewards)
        assert batch.terminated[column].item() == battle.terminated


def test_a_full_disk_refuses_a_battle_and_keeps_the_others(tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, obs_size=3000, episode_limit=6)  # 64 battles take 5 MB
    rng = np.random.default_rng(0)
    with small_disk(tmp_path / "disk", 12) as disk:
        buffer = BattleBuffer(disk / "b", 200, spec)
        for _ in range(64):
            buffer.add(random_battle(rng, 6, spec))
        filler = fill(disk)
        before = buffer.ids().tolist(), buffer.counters()
        with pytest.raises(OSError, match="No space left on device"):
            buffer.add(random_battle(rng, 6, spec))
        assert (buffer.ids().tolist(), buffer.counters()) == before
        buffer.sample(rng, 64)
        filler.unlink()
        buffer.add(random_battle(rng, 6, spec))
        assert len(buffer) == 65


@given(capacity=st.integers(1, 6), added=st.integers(1, 20))
def test_the_last_battles_are_kept(capacity: int, added: int) -> None:
    buffer = BattleBuffer(None, capacity, SPEC)
    for mark in range(added):
        buffer.add(marked_battle(mark))
    assert len(buffer) == min(capacity, added)
    assert stored_marks(buffer) == list(range(max(0, added - capacity), added))


def test_sampling_is_uniform_and_without_replacement() -> None:
    buffer = BattleBuffer(None, 5, SPEC)
    for mark in range(5):
        buffer.add(marked_battle(mark))
    rng = np.random.default_rng(0)
    seen = np.zeros(5)
    for _ in range(2000):
        drawn = marks(buffer.sample(rng, 2))
        assert drawn[0] != drawn[1]
        seen[drawn] += 1
    np.testing.assert_allclose(seen, 800, rtol=0.1)  # 2000 draws of 2 out of 5


def test_too_few_battles_cannot_be_sampled() -> None:
    buffer = BattleBuffer(None, 5, SPEC)
    buffer.add(marked_battle(1))
    with pytest.raises(ValueError, match="cannot sample 2 battles: the buffer holds 1"):
        buffer.sample(np.random.default_rng(0), 2)


@pytest.mark.parametrize("length", [0, SPEC.episode_limit + 1])
def test_battles_of_impossible_length_are_refused(length: int) -> None:
    battle = random_battle(np.random.default_rng(0), 2)
    wrong = dataclasses.replace(battle, actions=np.ones(length, np.uint8))
    with pytest.raises(ValueError, match=f"a battle of {length} steps, expected 1 to 6"):
        BattleBuffer(None, 5, SPEC).add(wrong)


def test_battles_of_another_seats_sizes_are_refused() -> None:
    other = random_battle(np.random.default_rng(0), 2, dataclasses.replace(SPEC, obs_size=7))
    with pytest.raises(ValueError, match=r"\(3, 7\).*expected .*\(3, 3\)"):
        BattleBuffer(None, 5, SPEC).add(other)


def test_reopening_gives_back_what_the_counters_know(tmp_path: Path) -> None:
    buffer = BattleBuffer(tmp_path, 4, SPEC)
    for mark in range(6):
        buffer.add(marked_battle(mark))
    buffer.flush()
    again = BattleBuffer(tmp_path, 4, SPEC)
    assert len(again) == 0
    again.restore(buffer.counters())
    assert stored_marks(again) == [2, 3, 4, 5]
    again.add(marked_battle(6))
    assert stored_marks(again) == [3, 4, 5, 6]


def test_battles_added_after_the_counters_are_forgotten(tmp_path: Path) -> None:
    buffer = BattleBuffer(tmp_path, 5, SPEC)
    buffer.add(marked_battle(1))
    buffer.add(marked_battle(2))
    counters = buffer.counters()
    buffer.add(marked_battle(3))
    for again in (BattleBuffer(tmp_path, 5, SPEC), buffer):  # reopened, or still open
        again.restore(counters)
        assert stored_marks(again) == [1, 2]
        again.add(marked_battle(4))
        assert stored_marks(again) == [1, 2, 4]


def test_a_kill_while_filling_the_ring_loses_nothing_before(tmp_path: Path) -> None:
    buffer = BattleBuffer(tmp_path, 5, SPEC)
    buffer.add(marked_battle(1))
    buffer.add(marked_battle(2))
    killed_while_adding(tmp_path, 5, buffer.counters(), 3)
    again = BattleBuffer(tmp_path, 5, SPEC)
    again.restore(buffer.counters())
    assert stored_marks(again) == [1, 2]


def test_a_kill_in_a_full_ring_leaves_out_the_torn_battle_only(tmp_path: Path) -> None:
    buffer = BattleBuffer(tmp_path, 3, SPEC)
    for mark in (1, 2, 3):
        buffer.add(marked_battle(mark))
    killed_while_adding(tmp_path, 3, buffer.counters(), 4)  # 4 replaced 1; 2 was being replaced
    again = BattleBuffer(tmp_path, 3, SPEC)
    again.restore(buffer.counters())
    assert stored_marks(again) == [3, 4]
    for mark in (5, 6, 7):
        again.add(marked_battle(mark))
    assert stored_marks(again) == [5, 6, 7]


def test_a_kill_while_the_files_are_made_is_made_good(tmp_path: Path) -> None:
    BattleBuffer(tmp_path, 3, SPEC)
    (tmp_path / "lengths.npy").unlink()  # the last file to be made
    (tmp_path / "rewards.npy").write_bytes(b"half a header")
    buffer = BattleBuffer(tmp_path, 3, SPEC)
    buffer.add(marked_battle(1))
    assert stored_marks(buffer) == [1]


@pytest.mark.parametrize(
    ("capacity", "spec"), [(4, SPEC), (3, dataclasses.replace(SPEC, obs_size=30))], ids=["capacity", "map"]
)
def test_a_ring_of_other_sizes_is_refused(tmp_path: Path, capacity: int, spec: Any) -> None:
    BattleBuffer(tmp_path, 3, SPEC)
    with pytest.raises(ValueError, match=r"observations.npy holds float32 \(3, 7, 3\), this run needs .* delete"):
        BattleBuffer(tmp_path, capacity, spec)


def test_a_damaged_ring_is_refused(tmp_path: Path) -> None:
    BattleBuffer(tmp_path, 3, SPEC)
    (tmp_path / "rewards.npy").write_bytes(b"not an array")
    with pytest.raises(ValueError, match=r"rewards.npy cannot be opened.*delete"):
        BattleBuffer(tmp_path, 3, SPEC)


@pytest.mark.parametrize(
    "counters", [{"position": 1, "count": 2}, {"position": 3, "count": 3}, {"position": 9, "count": 9}]
)
def test_impossible_counters_are_refused(counters: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="do not fit a ring of 3 battles"):
        BattleBuffer(None, 3, SPEC).restore(counters)


def test_disk_is_used_as_battles_come(tmp_path: Path) -> None:
    BattleBuffer(tmp_path, 100_000, SPEC)
    files = [path.stat() for path in tmp_path.iterdir()]
    assert sum(file.st_size for file in files) > 10_000_000
    assert sum(file.st_blocks * 512 for file in files) < 200_000


def numbered(number: int, length: int = 2) -> Battle:
    return dataclasses.replace(marked_battle(number, length), id=number)


def ids(*numbers: int) -> NDArray[np.uint64]:
    return np.array(numbers, np.uint64)


def test_battles_are_selected_by_their_ids_longest_first_then_as_named(tmp_path: Path) -> None:
    buffer = BattleBuffer(tmp_path, 5, SPEC)
    for number, length in ((3, 2), (2**33, 4), (5, 2), (6, 3)):
        buffer.add(dataclasses.replace(marked_battle(min(number, 9), length), id=number))
    assert buffer.ids().tolist() == [3, 2**33, 5, 6]
    batch = buffer.select(ids(5, 3, 2**33))
    assert batch is not None
    assert batch.rewards[0].tolist() == [9.0, 5.0, 3.0]
    assert batch.lengths.tolist() == [4, 2, 2]
    assert batch.sizes.tolist() == [3, 3, 3, 1, 1]
    again = BattleBuffer(tmp_path, 5, SPEC)
    assert again.select(ids(5)) is None  # nobody vouches for it yet
    again.restore(buffer.counters())
    assert again.ids().tolist() == [3, 2**33, 5, 6]


def test_of_a_batch_that_is_not_whole_nothing_is_selected() -> None:
    buffer = BattleBuffer(None, 2, SPEC)
    assert buffer.select(ids(1)) is None
    for number in (1, 2, 3):
        buffer.add(numbered(number))
    assert buffer.ids().tolist() == [2, 3]  # oldest first
    assert buffer.select(ids(3, 1)) is None
    assert buffer.select(ids(3, 4)) is None
    assert buffer.select(ids(3, 2)) is not None


def test_of_two_battles_with_one_id_the_later_one_is_meant() -> None:
    buffer = BattleBuffer(None, 3, SPEC)
    for mark in (1, 2, 3, 4):  # the ring has gone round: the last lies in the first slot
        buffer.add(dataclasses.replace(marked_battle(mark), id=7))
    batch = buffer.select(ids(7))
    assert batch is not None
    assert marks(batch) == [4]
