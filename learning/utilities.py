"""An agent's utilities of whole battles: Q of the actions taken, and double Q-learning's value of the next ones."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning import td
from learning.batch import Batch
from learning.network import RunOnDevice
from learning.packed_network import PackedRun
from learning.packing import Packing
from operations.compiled import entry

_Array = NDArray[Any]


class Utilities:
    """The utilities of a batch, on the CPU: compiled, because the arrays are too small for PyTorch's operations.

    Attributes:
        chosen: ``q(s_t, u_t)`` of all steps, [T, B]; zeros beyond a battle's end.
        best: ``q'(s_t+1, argmax q(s_t+1, .))``, likewise; q' is the target network's value.
    """

    def __init__(self, online: PackedRun, target: Tensor, batch: Batch) -> None:
        """``online`` and ``target`` are the online network's run over the batch and the target network's values."""
        self._online = online
        self._sizes, self._actions = batch.sizes.numpy(), batch.actions.numpy()
        self.chosen, self.best = (target.new_zeros(batch.actions.shape) for _ in range(2))
        values = (each.numpy() for each in (online.values, target, self.chosen, self.best))
        _look_up(self._sizes, self._actions, batch.available.numpy(), *values)

    def gradient(self, slopes: Tensor) -> Tensor:
        """Carry slopes of ``chosen`` [T, B] back to the parameters of the online network, [P]. Raises RuntimeError."""
        of_values = torch.zeros_like(self._online.values)
        _spread(self._sizes, self._actions, slopes.contiguous().numpy(), of_values.numpy())
        return self._online.gradient(of_values)


class UtilitiesOnDevice:
    """What ``Utilities`` are, with PyTorch's operations, where the batch is: on CUDA."""

    def __init__(self, online: RunOnDevice, target: Tensor, batch: Batch) -> None:
        """See ``Utilities``."""
        self._online = online
        moments = Packing.of(batch.lengths + 1)
        self._acts, reached = moments.later, slice(len(batch.lengths), None)  # but for the first, a step leads to one
        self._acted = moments.step < batch.lengths[moments.battle]
        self._actions = self._acts.pack(batch.actions)
        self.chosen = self._acts.unpack(td.chosen_values(online.values[self._acted], self._actions))
        best = td.double_q_values(online.values[reached], target[reached], batch.available[reached])
        self.best = self._acts.unpack(best)

    def gradient(self, slopes: Tensor) -> Tensor:
        """See ``Utilities.gradient``."""
        of_values = torch.zeros_like(self._online.values)
        of_acted = of_values[self._acted].scatter(1, self._actions.unsqueeze(1), self._acts.pack(slopes).unsqueeze(1))
        of_values[self._acted] = of_acted
        return self._online.gradient(of_values)


@entry
def _look_up(
    sizes: _Array, actions: _Array, available: _Array, online: _Array, target: _Array, chosen: _Array, best: _Array
) -> None:
    """Fill in chosen and best [T, B]; where nothing is available, best is the value of action 0."""
    row = 0
    for step in range(len(actions)):
        after = row + sizes[step]
        for battle in range(sizes[step + 1]):
            chosen[step, battle] = online[row + battle, actions[step, battle]]
            action, most = 0, -np.inf
            for each in range(online.shape[1]):
                if available[after + battle, each] and online[after + battle, each] > most:
                    action, most = each, online[after + battle, each]
            best[step, battle] = target[after + battle, action]
        row = after


@entry
def _spread(sizes: _Array, actions: _Array, slopes: _Array, of_values: _Array) -> None:
    """Put the slopes [T, B] of the chosen values where they were chosen: into zeros [rows, a]."""
    row = 0
    for step in range(len(actions)):
        for battle in range(sizes[step + 1]):
            of_values[row + battle, actions[step, battle]] = slopes[step, battle]
        row += sizes[step]
