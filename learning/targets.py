"""TD targets on the CPU, compiled: what ``learning.td.td_targets`` computes, each battle from its end."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from operations.compiled import entry

_Array = NDArray[Any]


def td_targets(
    rewards: Tensor, next_values: Tensor, lengths: Tensor, terminated: Tensor, gamma: float, td_lambda: float
) -> Tensor:
    """See ``learning.td.td_targets``."""
    targets = torch.zeros_like(next_values)
    arrays = (each.contiguous().numpy() for each in (rewards, next_values, lengths, terminated, targets))
    _fill(*arrays, gamma, td_lambda)
    return targets


@entry
def _fill(
    rewards: _Array,
    next_values: _Array,
    lengths: _Array,
    terminated: _Array,
    targets: _Array,
    gamma: float,
    td_lambda: float,
) -> None:
    for battle in range(len(lengths)):
        last = lengths[battle] - 1
        future = 0.0 if terminated[battle] else next_values[last, battle]
        for step in range(last, -1, -1):
            if step < last:
                future = (1.0 - td_lambda) * next_values[step, battle] + td_lambda * targets[step + 1, battle]
            targets[step, battle] = rewards[step, battle] + gamma * future
