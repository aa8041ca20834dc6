"""An agent's private store of battles: a ring of preallocated arrays, in files or in memory."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike, NDArray

from learning.batch import Batch, Ring, gather
from learning.battle import Battle
from learning.settings import SeatSpec

_STRETCH = 64  # slots that get their disk together


class BattleBuffer:
    """The last ``capacity`` battles of one seat.

    With a directory, every field is a sparse ``.npy`` file mapped into memory: opening costs nothing, disk is
    taken as battles come (before they are written: on a full disk a mapped page cannot be refused, the process would
    be killed by SIGBUS), and what was added survives the process. A slot's length is zeroed before its contents
    change and written after them, so a battle torn by a kill has length 0 and is never sampled. ``flush`` makes
    what was added safe from a power cut too. A reopened buffer is empty until ``restore`` says which battles are
    its own.
    """

    def __init__(self, directory: Path | None, capacity: int, spec: SeatSpec) -> None:
        """Open the ring in ``directory`` (made when absent), or hold it in memory when None.

        Raises:
            ValueError: the directory holds a ring of other sizes or types.
        """
        self._spec = spec
        self._capacity = capacity
        fields = _fields(capacity, spec)
        arrays = (
            {name: np.zeros(*form) for name, form in fields.items()} if directory is None else _open(directory, fields)
        )
        self._files = [array for array in arrays.values() if isinstance(array, np.memmap)]
        self._reserved: set[int] = set()  # numbers of the stretches of slots that have their disk
        arrays = {name: np.asarray(array) for name, array in arrays.items()}  # memmap's own indexing is slow
        self._ring = Ring(**arrays)
        # Lengths of the battles that may be sampled, 0 for the other slots. The file's lengths may name more:
        # battles of an earlier life that no counters vouch for.
        self._lengths = np.zeros(capacity, np.int64)
        self._position = 0
        self._count = 0

    def __len__(self) -> int:
        """Battles that can be sampled."""
        return int(np.count_nonzero(self._lengths))

    def add(self, battle: Battle) -> None:
        """Store a battle over the oldest one.

        Raises:
            ValueError: the battle is empty, longer than the episode limit or of other sizes than the seat's.
            OSError: the disk is full; nothing has changed.
        """
        length = self._checked_length(battle)
        slot = self._position
        self._reserve(slot // _STRETCH)
        self._lengths[slot] = self._ring.lengths[slot] = 0
        self._ring.observations[slot, : length + 1] = battle.observations
        self._ring.available[slot, : length + 1] = battle.available
        self._ring.actions[slot, :length] = battle.actions
        self._ring.rewards[slot, :length] = battle.rewards
        self._ring.terminated[slot] = battle.terminated
        self._ring.ids[slot] = battle.id
        self._lengths[slot] = self._ring.lengths[slot] = length
        self._position = (slot + 1) % self._capacity
        self._count = max(self._count, slot + 1)

    def sample(self, rng: np.random.Generator, n: int) -> Batch:
        """Draw n different battles, all stored ones being equally likely.

        Raises:
            ValueError: fewer than n battles are stored.
        """
        stored = np.flatnonzero(self._lengths)
        if len(stored) < n:
            raise ValueError(f"cannot sample {n} battles: the buffer holds {len(stored)}")
        return self._batch(rng.choice(stored, n, replace=False, shuffle=False))

    def ids(self) -> NDArray[np.uint64]:
        """The ids of the stored battles, oldest first."""
        return self._ring.ids[self._by_age()]

    def select(self, ids: NDArray[np.uint64]) -> Batch | None:
        """The battles with these ids, longest first, else in the order named; None if one of them is not stored."""
        slots = self._by_age()
        known = self._ring.ids[slots]
        order = np.argsort(known, kind="stable")
        # Of two battles with one id (a round was played again) the later one is meant.
        places = np.searchsorted(known, ids, side="right", sorter=order) - 1
        if not len(known) or (places < 0).any() or (known[order[places]] != ids).any():
            return None
        return self._batch(slots[order[places]])

    def _by_age(self) -> NDArray[np.intp]:
        """The slots that may be sampled, oldest battle first."""
        slots = np.roll(np.arange(self._capacity), -self._position)
        return slots[self._lengths[slots] > 0]

    def _batch(self, slots: NDArray[np.intp]) -> Batch:
        slots = slots[np.argsort(-self._lengths[slots], kind="stable")]
        return gather(self._ring, slots, self._lengths[slots], self._spec)

    def flush(self) -> None:
        """Write what was added through to the disk (msync); nothing to do in memory."""
        for file in self._files:
            file.flush()

    def counters(self) -> dict[str, int]:
        """What ``restore`` needs: the next slot, and how many slots were ever filled."""
        return {"position": self._position, "count": self._count}

    def restore(self, counters: Mapping[str, int]) -> None:
        """Take the ring up where ``counters`` were read.

        Battles added to free slots since then are forgotten. Where battles added since then replaced older
        ones, the whole ones stay (the older are gone) and a torn one is left out.

        Raises:
            ValueError: the counters do not fit the ring.
        """
        position, count = counters["position"], counters["count"]
        fits = position == count if count < self._capacity else 0 <= position < self._capacity == count
        if not (0 <= count <= self._capacity and fits):
            raise ValueError(f"counters {dict(counters)} do not fit a ring of {self._capacity} battles")
        self._position, self._count = position, count
        self._lengths[:count] = self._ring.lengths[:count]
        self._lengths[count:] = 0

    def _reserve(self, stretch: int) -> None:
        """Take the disk of a stretch of slots. Raises OSError."""
        if stretch in self._reserved or not hasattr(os, "posix_fallocate"):
            return
        for file in self._files:
            slot = file.nbytes // self._capacity
            begin, end = stretch * _STRETCH, min((stretch + 1) * _STRETCH, self._capacity)
            with open(str(file.filename), "r+b") as opened:
                os.posix_fallocate(opened.fileno(), file.offset + begin * slot, (end - begin) * slot)
        self._reserved.add(stretch)

    def _checked_length(self, battle: Battle) -> int:
        length = battle.length
        if not 1 <= length <= self._spec.episode_limit:
            raise ValueError(f"a battle of {length} steps, expected 1 to {self._spec.episode_limit}")
        found = (battle.observations.shape, battle.available.shape, battle.rewards.shape)
        expected = ((length + 1, self._spec.obs_size), (length + 1, self._spec.n_actions), (length,))
        if found != expected:
            raise ValueError(f"observations, availability and rewards are of shapes {found}, expected {expected}")
        return length


def _fields(capacity: int, spec: SeatSpec) -> dict[str, tuple[tuple[int, ...], DTypeLike]]:
    limit = spec.episode_limit
    return {
        "observations": ((capacity, limit + 1, spec.obs_size), np.float32),
        "available": ((capacity, limit + 1, spec.n_actions), np.bool_),
        "actions": ((capacity, limit), np.uint8),
        "rewards": ((capacity, limit), np.float32),
        "terminated": ((capacity,), np.bool_),
        "ids": ((capacity,), np.uint64),
        "lengths": ((capacity,), np.int64),  # last: its file exists once all others do
    }


def buffer_bytes(capacity: int, spec: SeatSpec) -> int:
    """Return what a full buffer takes, on disk or in memory."""
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in _fields(capacity, spec).values())


def _open(directory: Path, fields: Mapping[str, tuple[tuple[int, ...], DTypeLike]]) -> dict[str, NDArray[Any]]:
    directory.mkdir(parents=True, exist_ok=True)
    complete = (directory / "lengths.npy").exists()
    arrays: dict[str, NDArray[Any]] = {}
    for name, (shape, dtype) in fields.items():
        path = directory / f"{name}.npy"
        if not complete:
            arrays[name] = open_memmap(path, "w+", dtype, shape)
            continue
        try:
            array = open_memmap(path, "r+")
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be opened ({error}): {_REMEDY.format(directory)}") from error
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(
                f"{path} holds {array.dtype} {array.shape}, this run needs {np.dtype(dtype)} {shape}: "
                + _REMEDY.format(directory)
            )
        arrays[name] = array
    return arrays


_REMEDY = "go back to the map and buffer-size it was made with, or delete {} to begin with an empty buffer"
