"""Checkpoints: a round is kept whole or not at all, and comes back bit for bit."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from server.checkpoints import (
    Checkpoint,
    newest_checkpoint,
    newest_checkpoint_steps,
    save_checkpoint,
    whole_checkpoints,
)
from server.run_directory import NotKeptError, RunDirectory, RunDirectoryError
from strategies.state import State
from tests.server.squad import settings


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return RunDirectory.create(settings(runs=str(tmp_path), run="first")).path


def checkpoint(round_: int, seats: int = 2) -> Checkpoint:
    """A checkpoint whose tensors are in an order that safetensors does not keep, with odd numbers in them."""
    rng = np.random.default_rng(round_)
    odd = np.array([np.nan, -0.0, np.inf, np.finfo(np.float32).tiny / 8], np.float32)
    agents = {
        seat: {"rnn.weight_hh": rng.standard_normal((3, 2)).astype(np.float32), "fc1.weight": odd * (seat + 1)}
        for seat in range(seats)
    }
    return Checkpoint(round_, 1000 * round_, agents)


def bits(read: Checkpoint | None) -> dict[int, dict[str, tuple[Any, bytes]]]:
    assert read is not None
    return {
        seat: {name: (tensor.shape, tensor.tobytes()) for name, tensor in tensors.items()}
        for seat, tensors in read.agents.items()
    }


def test_a_new_run_has_none(run: Path) -> None:
    assert whole_checkpoints(run) == []
    assert newest_checkpoint(run) is None
    assert newest_checkpoint_steps(run) == 0


def test_a_checkpoint_comes_back_bit_for_bit(run: Path) -> None:
    kept = checkpoint(1)
    save_checkpoint(run, kept)
    read = newest_checkpoint(run)
    assert bits(read) == bits(kept)
    assert read is not None
    assert (read.round, read.steps) == (1, 1000)
    assert newest_checkpoint_steps(run) == 1000


def test_only_a_few_are_kept(run: Path) -> None:
    for round_ in range(1, 13):
        save_checkpoint(run, checkpoint(round_))
    assert [path.name for path in whole_checkpoints(run)] == ["round-000010", "round-000011", "round-000012"]
    assert bits(newest_checkpoint(run)) == bits(checkpoint(12))


def test_a_round_that_is_played_again_replaces_its_checkpoint(run: Path) -> None:
    save_checkpoint(run, checkpoint(1))
    again = dataclasses.replace(checkpoint(9), round=1)
    save_checkpoint(run, again)
    assert bits(newest_checkpoint(run)) == bits(again)


def test_what_a_crash_left_half_written_is_ignored_and_then_replaced(run: Path) -> None:
    save_checkpoint(run, checkpoint(1))
    half = run / "checkpoints" / "round-000002.tmp"
    half.mkdir()
    (half / "seat-0.safetensors").write_bytes(b"half")
    assert bits(newest_checkpoint(run)) == bits(checkpoint(1))
    save_checkpoint(run, checkpoint(2, seats=1))
    assert bits(newest_checkpoint(run)) == bits(checkpoint(2, seats=1))
    assert not half.exists()


@pytest.mark.parametrize("file", ["seat-1.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_damaged_checkpoint_is_named(run: Path, file: str, damage: str) -> None:
    save_checkpoint(run, checkpoint(1))
    save_checkpoint(run, checkpoint(2))
    path = run / "checkpoints" / "round-000002" / file
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
    with pytest.raises(
        RunDirectoryError, match=r"round-000002 is damaged \(.*; remove it to resume from the one before"
    ):
        newest_checkpoint(run)
    if file == "checkpoint.json":
        with pytest.raises(RunDirectoryError, match=r"round-000002 is damaged"):
            newest_checkpoint_steps(run)
    shutil.rmtree(path.parent)
    assert bits(newest_checkpoint(run)) == bits(checkpoint(1))


def test_a_full_disk_leaves_the_checkpoint_before(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(run, checkpoint(1))
    room = 2  # files

    def full(_: int) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(28, os.strerror(28))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(NotKeptError, match=r"cannot write .*round-000002: No space left on device"):
            save_checkpoint(run, checkpoint(2))
    assert bits(newest_checkpoint(run)) == bits(checkpoint(1))
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["round-000001"]
    save_checkpoint(run, checkpoint(2))  # there is room again
    assert bits(newest_checkpoint(run)) == bits(checkpoint(2))


def test_the_state_of_a_strategy_comes_back_bit_for_bit(run: Path) -> None:
    state: State = {
        "own/m": np.array([[0.1, np.nan], [-0.0, np.inf]]).T,
        "own/count": np.arange(3),
        "own/on": np.array(True),
        "own/rounds": 3,
        "own/best": 0.1,
    }
    save_checkpoint(run, dataclasses.replace(checkpoint(1), strategy=state))
    read = newest_checkpoint(run)
    assert bits(read) == bits(checkpoint(1))  # the agents' tensors are the same without it
    assert read is not None
    assert read.strategy is not None
    for name, value in state.items():
        found = read.strategy[name]
        assert type(found) is type(value)
        assert np.asarray(found).dtype == np.asarray(value).dtype
        assert np.asarray(found).shape == np.asarray(value).shape
        assert np.asarray(found).tobytes() == np.asarray(value).tobytes()


def test_a_checkpoint_whose_strategy_lacks_an_array_is_named(run: Path) -> None:
    save_checkpoint(run, dataclasses.replace(checkpoint(1), strategy={"a": np.zeros(2), "b": np.zeros(2)}))
    (run / "checkpoints" / "round-000001" / "strategy.safetensors").write_bytes(save({"a": np.zeros(2)}))
    with pytest.raises(RunDirectoryError, match=r"is damaged \(strategy\.safetensors lacks b\)"):
        newest_checkpoint(run)
