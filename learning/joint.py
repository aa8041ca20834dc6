"""Joint mixing: the part of a training step that is done where the state is, for the utilities of all agents.

It is split learning. The agents send their utilities [T, B], get back d loss / d utility [T, B], and carry that back
through their own networks. All clip by one global norm: agents and mixer add up their squared norms.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning import td
from learning.metrics import TrainMetrics, train_metrics
from learning.mixer import MonotoneMixer
from learning.settings import Base
from learning.trainable import TrainableParameters, clip_scale, frozen_copy


class JointMixer:
    """Q_tot of N agents: the sum of their utilities ("vdn"), or QMIX's mixer of them over the state ("qmix").

    A training step is ``gradient``, then ``apply``; a step that is given up is simply not applied.
    """

    def __init__(
        self,
        n_agents: int,
        state_size: int,
        *,
        base: Base,
        learning_rate: float,
        gamma: float,
        td_lambda: float,
        target_update_every: int,
        grad_clip: float,
        seed: int,
    ) -> None:
        """Initialise from ``seed`` alone; the arguments are the settings of the same names.

        From then on the process computes on one thread, as an agent's does: the last bits of a sum depend on how many
        threads have a part in it, and both runtimes are to come to the same.
        """
        torch.set_num_threads(1)
        generator = torch.Generator().manual_seed(seed)
        self._mixer = MonotoneMixer(n_agents, state_size, generator=generator) if base == "qmix" else None
        self._target = None if self._mixer is None else frozen_copy(self._mixer)
        self._parameters = TrainableParameters(
            {} if self._mixer is None else dict(self._mixer.named_parameters()),
            {} if self._target is None else dict(self._target.named_parameters()),
            learning_rate,
            target_update_every,
        )
        self._gamma = gamma
        self._td_lambda = td_lambda
        self._grad_clip = grad_clip
        self._step: tuple[Tensor, Tensor, Tensor, Tensor] | None = None  # loss, values, targets, mask

    def gradient(
        self,
        chosen: NDArray[np.float32],
        bootstrap: NDArray[np.float32],
        states: NDArray[np.float32],
        rewards: NDArray[np.float32],
        lengths: NDArray[np.int64],
        terminated: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """d loss / d chosen [T, B, N], for the masked mean of the squared TD error over B battles.

        Args:
            chosen: [T, B, N], each agent's utility of the action it took; 0 for an agent that is not there.
            bootstrap: [T, B, N], each agent's target utility of its best next action.
            states: [T+1, B, s]; base "vdn" does not look at them.
            rewards: [T, B].
            lengths: [B], in steps.
            terminated: [B]; False where the time limit cut the battle, so that it bootstraps.
        """
        length, utilities = torch.from_numpy(lengths), torch.from_numpy(chosen).requires_grad_()
        mask = td.battle_mask(length, len(rewards))
        values, next_values = self._mixed(utilities, torch.from_numpy(bootstrap), torch.from_numpy(states))
        targets = td.td_targets(
            torch.from_numpy(rewards), next_values, length, torch.from_numpy(terminated), self._gamma, self._td_lambda
        )
        loss = td.td_loss(values, targets, mask)
        self._parameters.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._step = loss, values, targets, mask
        assert utilities.grad is not None
        gradient: NDArray[np.float32] = utilities.grad.numpy()
        return gradient

    def set_learning_rate(self, rate: float) -> None:
        """Learn at this rate from now on."""
        self._parameters.set_learning_rate(rate)

    def apply(self, squared_norm: float) -> tuple[float, TrainMetrics]:
        """Take the step prepared by ``gradient``; return the scale by which every agent takes its own.

        ``squared_norm`` is the sum of the agents' squared gradient norms.
        """
        assert self._step is not None
        norm = (squared_norm + self._parameters.squared_norm()) ** 0.5
        scale = clip_scale(norm, self._grad_clip)
        self._parameters.step(scale)
        metrics = train_metrics(*self._step, grad_norm=norm)
        self._step = None
        return scale, metrics

    def state(self) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
        """Everything that ``restore`` needs to resume bit for bit: tensors (copies) and counters."""
        tensors, counters = self._parameters.state()
        return {name: tensor.numpy() for name, tensor in tensors.items()}, counters

    def restore(self, tensors: Mapping[str, NDArray[np.float32]], counters: Mapping[str, Any]) -> None:
        """Become the mixer whose ``state`` this is. Raises ValueError, without a change, if it does not fit."""
        self._parameters.restore({name: torch.from_numpy(tensor) for name, tensor in tensors.items()}, counters)

    def _mixed(self, chosen: Tensor, bootstrap: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        if self._mixer is None or self._target is None:
            return chosen.sum(-1), bootstrap.sum(-1)
        with torch.no_grad():
            next_values = self._target(bootstrap, states[1:])
        return self._mixer(chosen, states[:-1]), next_values
