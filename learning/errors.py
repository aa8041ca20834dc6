"""TD errors of a batch, and the figures that are made of them."""

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from learning import td
from learning.batch import Batch
from operations.compiled import entry

_Array = NDArray[Any]


class TDErrors(NamedTuple):
    """What values miss of their targets.

    Attributes:
        slopes: of the loss, d loss / d value [T, B]; zeros beyond a battle's end.
        loss: the mean of the squared errors over all steps.
        q_mean: the mean of the values.
        td_error_abs: the mean of the errors' absolute values.
    """

    slopes: Tensor
    loss: float
    q_mean: float
    td_error_abs: float


def td_errors(values: Tensor, next_values: Tensor, batch: Batch, gamma: float, td_lambda: float) -> TDErrors:
    """Compare values [T, B] with ``learning.td.td_targets`` of the next ones [T, B]; all are where the batch is."""
    if values.is_cpu:
        return _compiled(values, next_values, batch, gamma, td_lambda)
    targets = td.td_targets(batch.rewards, next_values, batch.lengths, batch.terminated, gamma, td_lambda)
    on, steps = td.battle_mask(batch.lengths, len(values)), batch.lengths.sum()
    errors = torch.where(on, values - targets, 0.0)
    sums = torch.stack([errors.square().sum(), torch.where(on, values, 0.0).sum(), errors.abs().sum()])
    return TDErrors(2 * errors / steps, *(sums / steps).tolist())


def _compiled(values: Tensor, next_values: Tensor, batch: Batch, gamma: float, td_lambda: float) -> TDErrors:
    slopes = torch.zeros_like(values)
    arrays = (batch.rewards, next_values, batch.lengths, batch.terminated, values, slopes)
    return TDErrors(slopes, *_fill(*(each.numpy() for each in arrays), gamma, td_lambda))


@entry
def _fill(
    rewards: _Array,
    next_values: _Array,
    lengths: _Array,
    terminated: _Array,
    values: _Array,
    slopes: _Array,
    gamma: float,
    td_lambda: float,
) -> tuple[float, float, float]:
    """Fill in the slopes, each battle from its end; return the other figures."""
    steps = lengths.sum()
    squares = total = absolute = 0.0
    for battle in range(len(lengths)):
        last = lengths[battle] - 1
        future = 0.0 if terminated[battle] else next_values[last, battle]
        for step in range(last, -1, -1):
            target = rewards[step, battle] + gamma * future
            error = values[step, battle] - target
            slopes[step, battle] = 2.0 * error / steps
            squares += error * error
            total += values[step, battle]
            absolute += abs(error)
            if step:
                future = (1.0 - td_lambda) * next_values[step - 1, battle] + td_lambda * target
    return squares / steps, total / steps, absolute / steps
