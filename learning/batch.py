"""Battles to learn from at once, and how they are gathered from a buffer's slots."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.settings import SeatSpec
from operations.compiled import entry


@dataclass(frozen=True)
class Batch:
    """B battles, longest first, time-major.

    What belongs to a moment is packed, without padding (``learning.packing``). What belongs to a step is padded to the
    longest battle (T steps) with zeros.

    Attributes:
        inputs: float32 [rows, o + a + n_agents], of all moments: what the seat observed, its last action one-hot (zeros
            at first), its agent id one-hot.
        available: bool [rows, a].
        sizes: int64 [T+1], on the CPU: battles that have a row of each moment.
        actions: int64 [T, B].
        rewards: float32 [T, B].
        lengths: int64 [B], in steps, not increasing.
        terminated: bool [B]; False where the time limit cut the battle.
    """

    inputs: Tensor
    available: Tensor
    sizes: Tensor
    actions: Tensor
    rewards: Tensor
    lengths: Tensor
    terminated: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same battles on `device`."""
        if self.rewards.device == device:
            return self
        moved = {field.name: getattr(self, field.name).to(device) for field in fields(self) if field.name != "sizes"}
        return Batch(**moved, sizes=self.sizes)


class Ring(NamedTuple):
    """A buffer's n slots, each of one battle of ``limit`` steps at most."""

    observations: NDArray[np.float32]  # [n, limit + 1, o]
    available: NDArray[np.bool_]  # [n, limit + 1, a]
    actions: NDArray[np.uint8]  # [n, limit]
    rewards: NDArray[np.float32]  # [n, limit]
    terminated: NDArray[np.bool_]  # [n]
    ids: NDArray[np.uint64]  # [n]
    lengths: NDArray[np.int64]  # [n], in steps


def gather(ring: Ring, slots: NDArray[np.intp], lengths: NDArray[np.int64], spec: SeatSpec) -> Batch:
    """Copy the battles of these slots [B], of these lengths [B], longest first; ``spec`` is their seat."""
    steps, battles = int(lengths[0]), len(lengths)
    sizes = np.count_nonzero(lengths >= np.arange(steps + 1)[:, None], axis=1)
    rows = int(sizes.sum())
    inputs = torch.zeros(rows, spec.input_size, device="cpu")
    batch = Batch(
        inputs,
        available=inputs.new_empty(rows, spec.n_actions, dtype=torch.bool),
        sizes=torch.from_numpy(sizes),
        actions=inputs.new_zeros(steps, battles, dtype=torch.int64),
        rewards=inputs.new_zeros(steps, battles),
        lengths=torch.from_numpy(lengths),
        terminated=torch.from_numpy(ring.terminated[slots]),
    )
    filled = (batch.inputs, batch.available, batch.actions, batch.rewards)
    _gather(ring, slots, sizes, spec.seat, *(each.numpy() for each in filled))
    return batch


@entry
def _gather(
    ring: Ring,
    slots: NDArray[np.intp],
    sizes: NDArray[np.int64],
    seat: int,
    inputs: NDArray[np.float32],
    available: NDArray[np.bool_],
    actions: NDArray[np.int64],
    rewards: NDArray[np.float32],
) -> None:
    """Fill in a batch's arrays, which are zeros before."""
    o, a = ring.observations.shape[2], ring.available.shape[2]
    row = 0
    for moment in range(len(sizes)):
        for battle in range(sizes[moment]):
            slot = slots[battle]
            for j in range(o):
                inputs[row, j] = ring.observations[slot, moment, j]
            inputs[row, o + a + seat] = 1.0
            for j in range(a):
                available[row, j] = ring.available[slot, moment, j]
            if moment:
                action = ring.actions[slot, moment - 1]
                inputs[row, o + action] = 1.0
                actions[moment - 1, battle] = action
                rewards[moment - 1, battle] = ring.rewards[slot, moment - 1]
            row += 1
