"""Learning: gradient steps of double Q-learning on batches of battles."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learning import td
from learning.buffer import Batch
from learning.mixer import MonotoneMixer
from learning.network import AgentNetwork, sequence_inputs
from learning.settings import LearningSettings, SeatSpec


@dataclass(frozen=True)
class TrainMetrics:
    """One training step: loss, mean Q_tot of the actions taken, mean |TD error|, gradient norm unclipped."""

    loss: float
    q_mean: float
    td_error_abs: float
    grad_norm: float


class Learner:
    """One agent's value function and its optimiser.

    With base "vdn" Q_tot is the agent's own Q; with "qmix" a monotone mixer of it, conditioned on the agent's
    own observation: all that a device knows (mixing "solo").
    """

    def __init__(self, spec: SeatSpec, settings: LearningSettings, seed: int) -> None:
        """Initialise from ``seed`` alone; the network is the same for both bases."""
        self._spec = spec
        self._settings = settings
        generator = torch.Generator().manual_seed(seed)
        self.network = AgentNetwork(spec.input_size, settings.hidden, spec.n_actions, generator)
        self._mixer = MonotoneMixer(1, spec.obs_size, generator=generator) if settings.base == "qmix" else None
        self._target_network = _frozen_copy(self.network)
        self._target_mixer = None if self._mixer is None else _frozen_copy(self._mixer)
        self._parameters = _named_tensors(self.network, self._mixer)
        self._target_parameters = _named_tensors(self._target_network, self._target_mixer)
        self._optimiser = torch.optim.Adam(self._parameters.values(), lr=settings.learning_rate, fused=True)
        self._steps = 0

    @property
    def steps(self) -> int:
        """Training steps taken."""
        return self._steps

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Copies of what agents exchange: the network's 8 tensors, then the mixer's under "mixer."."""
        return {name: tensor.detach().numpy().copy() for name, tensor in self._parameters.items()}

    def load(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """Overwrite the named tensors of the online network and mixer; target and optimiser stay as they are.

        Raises:
            ValueError: a name is unknown or a shape differs; nothing has been changed then.
        """
        for name, tensor in tensors.items():
            if name not in self._parameters:
                raise ValueError(f"unknown tensor {name!r}, expected some of: {', '.join(self._parameters)}")
            shape = tuple(self._parameters[name].shape)
            if tensor.shape != shape:
                raise ValueError(f"tensor {name!r} is of shape {tensor.shape}, expected {shape}")
        with torch.no_grad():
            for name, tensor in tensors.items():
                self._parameters[name].copy_(torch.tensor(tensor))

    def sync_target(self) -> None:
        """Copy the online network and mixer to their targets."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                self._target_parameters[name].copy_(parameter)

    def train(self, batch: Batch) -> TrainMetrics:
        """One gradient step; every ``target_update_every`` steps the targets follow.

        A dead unit's steps count like the others: the death step bootstraps from their value.
        """
        mask = td.battle_mask(batch.lengths, len(batch.actions))
        values, next_values = self._mixed(*self._utilities(batch), batch)
        targets = td.td_targets(batch.rewards, next_values, batch.lengths, batch.terminated, self._settings.gamma)
        loss = td.td_loss(values, targets, mask)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        grad_norm = nn.utils.clip_grad_norm_(self._parameters.values(), self._settings.grad_clip)
        self._optimiser.step()
        self._steps += 1
        if self._steps % self._settings.target_update_every == 0:
            self.sync_target()
        values = values.detach()
        return TrainMetrics(
            loss=float(loss.detach()),
            q_mean=float(td.masked_mean(values, mask)),
            td_error_abs=float(td.masked_mean((values - targets).abs(), mask)),
            grad_norm=float(grad_norm),
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that ``restore`` needs to go on bit for bit: tensors (copies) and counters."""
        tensors = {f"online.{name}": tensor for name, tensor in self._parameters.items()}
        tensors |= {f"target.{name}": tensor for name, tensor in self._target_parameters.items()}
        for name, parameter in self._parameters.items():
            for key, moment in self._optimiser.state[parameter].items():
                tensors[f"adam.{key}.{name}"] = moment
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}, {"steps": self._steps}

    def restore(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        """Become the learner whose ``state`` this is.

        Raises:
            ValueError: a tensor is missing, unknown or of another shape; nothing has been changed then.
        """
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        expected = self._state_shapes(trained=counters["steps"] > 0)
        if found != expected:
            raise ValueError("not this learner's state: " + _differences(found, expected))
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(tensors[f"online.{name}"])
                self._target_parameters[name].copy_(tensors[f"target.{name}"])
        self._optimiser.state.clear()
        if counters["steps"] > 0:
            for name, parameter in self._parameters.items():
                self._optimiser.state[parameter] = {key: tensors[f"adam.{key}.{name}"].clone() for key in _ADAM_STATE}
        self._steps = counters["steps"]

    def _utilities(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Own Q of the actions taken and Q' of the best next ones, [T, B]; gradients in the first only."""
        lengths = batch.lengths + 1
        inputs = sequence_inputs(batch.observations, batch.actions, self._spec)
        online = self.network(inputs, lengths)
        with torch.no_grad():
            target = self._target_network(inputs, lengths)
            following = td.double_q_values(online[1:], target[1:], batch.available[1:])
        return td.chosen_values(online[:-1], batch.actions), following

    def _mixed(self, chosen: Tensor, following: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Q_tot and Q'_tot of such utilities, [T, B]."""
        if self._mixer is None or self._target_mixer is None:
            return chosen, following
        seen = batch.observations.contiguous()  # once, not in every hyper-network
        with torch.no_grad():
            following = self._target_mixer(following.unsqueeze(-1), seen[1:])
        return self._mixer(chosen.unsqueeze(-1), seen[:-1]), following

    def _state_shapes(self, *, trained: bool) -> dict[str, tuple[int, ...]]:
        shapes = {name: tuple(parameter.shape) for name, parameter in self._parameters.items()}
        expected = {f"{part}.{name}": shape for part in ("online", "target") for name, shape in shapes.items()}
        if trained:
            for key in _ADAM_STATE:
                expected |= {f"adam.{key}.{name}": () if key == "step" else shape for name, shape in shapes.items()}
        return expected


_ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")
_M = TypeVar("_M", bound=nn.Module)


def _frozen_copy(module: _M) -> _M:
    return copy.deepcopy(module).requires_grad_(False)


def _named_tensors(network: AgentNetwork, mixer: MonotoneMixer | None) -> dict[str, nn.Parameter]:
    mixed = {} if mixer is None else {f"mixer.{name}": tensor for name, tensor in mixer.named_parameters()}
    return network.named_tensors() | mixed


def _differences(found: Mapping[str, object], expected: Mapping[str, object]) -> str:
    names = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    return "; ".join(
        f"{name} is {found.get(name, 'missing')}, expected {expected.get(name, 'no such tensor')}" for name in names[:3]
    )
