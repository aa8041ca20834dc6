"""Learning: gradient steps of double Q-learning on batches of battles."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learning import td
from learning.buffer import Batch
from learning.compute import compute_device
from learning.metrics import TrainMetrics, train_metrics
from learning.mixer import MonotoneMixer, solo_mixer
from learning.network import AgentNetwork, packed_inputs
from learning.packing import Packing
from learning.settings import LearningSettings, SeatSpec
from learning.trainable import TrainableParameters, clip_scale, frozen_copy


class Learner:
    """One agent's value function and its optimiser.

    With mixing "solo" it learns alone, by ``train``: with base "vdn" Q_tot is the agent's own Q; with "qmix" a
    monotone mixer of it, conditioned on the agent's own observation: all that a device knows. With mixing "joint"
    the mixer is elsewhere (``learning.joint``) and a training step is ``utilities``, ``backpropagate``, ``apply``.

    It computes on the device of the settings. Batches, gradients and states may come from any; states go to the CPU.

    Attributes:
        spec: the seat that it learns for.
        settings: what it was told.
        device: where it computes.
        network: of the agent.
        mixer: of its own utility; None but for base "qmix" with mixing "solo".
        parameters: of network and mixer, with their targets and optimiser.
    """

    def __init__(self, spec: SeatSpec, settings: LearningSettings, seed: int) -> None:
        """Initialise from ``seed`` alone; the network is the same for all bases, mixings and devices.

        Raises:
            NoDeviceError: the settings want CUDA and there is none.
        """
        self.spec = spec
        self.settings = settings
        self.device = compute_device(settings.device)
        generator = torch.Generator().manual_seed(seed)
        self.network = AgentNetwork(spec.input_size, settings.hidden, spec.n_actions, generator).to(self.device)
        mixes = settings.base == "qmix" and settings.mixing == "solo"
        self.mixer = solo_mixer(spec.obs_size, generator=generator).to(self.device) if mixes else None
        self._target_network = frozen_copy(self.network)
        self._target_mixer = None if self.mixer is None else frozen_copy(self.mixer)
        online = _named_tensors(self.network, self.mixer)
        self.parameters = TrainableParameters(
            online,
            _named_tensors(self._target_network, self._target_mixer),
            settings.learning_rate,
            settings.target_update_every,
            rates=dict.fromkeys(online.keys() - self.network.named_tensors().keys(), _MIXER_RATE),
        )

    @property
    def steps(self) -> int:
        """Training steps taken."""
        return self.parameters.steps

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Copies of what agents exchange: the network's 8 tensors, then the mixer's under "mixer."."""
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.parameters.online.items()}

    def load(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """Overwrite the named tensors of the online network and mixer; target and optimiser stay as they are.

        Raises:
            ValueError: a name is unknown or a shape differs; nothing has been changed then.
        """
        self.check(tensors)
        parameters = self.parameters.online
        with torch.no_grad():
            for name, tensor in tensors.items():
                parameters[name].copy_(torch.tensor(tensor, device=self.device))

    def check(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """Compare tensors with those that can be loaded.

        Raises:
            ValueError: a name is unknown or a shape differs.
        """
        parameters = self.parameters.online
        for name, tensor in tensors.items():
            if name not in parameters:
                raise ValueError(f"unknown tensor {name!r}, expected some of: {', '.join(parameters)}")
            shape = tuple(parameters[name].shape)
            if tensor.shape != shape:
                raise ValueError(f"tensor {name!r} is of shape {tensor.shape}, expected {shape}")

    def set_learning_rate(self, rate: float) -> None:
        """Learn at this rate from now on; a solo mixer at its part of it."""
        self.parameters.set_learning_rate(rate)

    def sync_target(self) -> None:
        """Copy the online network and mixer to their targets."""
        self.parameters.sync_target()

    def train(self, batch: Batch) -> TrainMetrics:
        """One gradient step alone; every ``target_update_every`` steps the targets follow.

        A dead unit's steps count like the others: the death step bootstraps from their value.
        """
        batch = batch.to(self.device)
        mask = td.battle_mask(batch.lengths, len(batch.actions))
        values, next_values = self._mixed(*self.utilities(batch), batch)
        told = self.settings
        targets = td.td_targets(batch.rewards, next_values, batch.lengths, batch.terminated, told.gamma, told.td_lambda)
        loss = td.td_loss(values, targets, mask)
        self.parameters.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        grad_norm = self.parameters.squared_norm() ** 0.5
        self.apply(clip_scale(grad_norm, told.grad_clip))
        return train_metrics(loss, values, targets, mask, grad_norm)

    def utilities(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Own Q of the actions taken and Q' of the best next ones, [T, B]; gradients in the first only."""
        batch = batch.to(self.device)
        moments = Packing.of(batch.lengths + 1)
        acts = moments.later  # but for the first, a moment is what an action leads to
        actions = acts.pack(batch.actions)
        inputs = packed_inputs(moments.pack(batch.observations), actions, self.spec)
        online = self.network(inputs, moments.sizes)
        with torch.no_grad():
            target = self._target_network(inputs, moments.sizes)
            best = td.double_q_values(online, target, moments.pack(batch.available))
        acted = moments.step < batch.lengths[moments.battle]
        reached = slice(len(batch.lengths), None)
        return acts.unpack(td.chosen_values(online[acted], actions)), acts.unpack(best[reached])

    def backpropagate(self, chosen: Tensor, gradient: Tensor) -> float:
        """Carry d loss / d chosen [T, B] back through the own network; return the squared norm of what arrives.

        ``chosen`` is the first of ``utilities``; nothing else must have been learned since.
        """
        self.parameters.zero_grad()
        chosen.backward(gradient.to(self.device))  # type: ignore[no-untyped-call]
        return self.parameters.squared_norm()

    def apply(self, scale: float) -> None:
        """Take the step that was prepared by ``backpropagate``, with its gradients times ``scale``."""
        self.parameters.scale_grad(scale)
        self.parameters.step()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that ``restore`` needs to resume bit for bit: tensors (copies) and counters."""
        return self.parameters.state()

    def restore(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        """Become the learner whose ``state`` this is.

        Raises:
            ValueError: a tensor is missing, unknown or of another shape; nothing has been changed then.
        """
        self.parameters.restore(tensors, counters)

    def _mixed(self, chosen: Tensor, bootstrap: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Q_tot and Q'_tot of such utilities, [T, B]."""
        if self.mixer is None or self._target_mixer is None:
            return chosen, bootstrap
        # Padding is most of many batches and the mixers are most of the work: they are given the battles' steps alone.
        on = step, battle = td.battle_mask(batch.lengths, len(batch.actions)).nonzero(as_tuple=True)
        values = self.mixer(chosen[on].unsqueeze(-1), batch.observations[on])
        with torch.no_grad():
            next_values = self._target_mixer(bootstrap[on].unsqueeze(-1), batch.observations[step + 1, battle])
        return torch.zeros_like(chosen).index_put(on, values), bootstrap.index_put(on, next_values)


class TakenStep(NamedTuple):
    """What is known of a training step that was taken, and the seconds it took."""

    metrics: TrainMetrics
    seconds: float


class TrainingStep(NamedTuple):
    """A training step that a learner is to take: by itself, or as one with those of others (``learning.stacked``)."""

    learner: Learner
    batch: Batch

    def take(self) -> TakenStep:
        """Take it by itself."""
        began = time.perf_counter()
        metrics = self.learner.train(self.batch)
        return TakenStep(metrics, time.perf_counter() - began)


# The mixer's learning rate, in parts of the network's. At the network's own, solo QMIX learns late on 3m: the mixer
# then explains most of the values itself and shrinks the utility, by which alone an agent acts (docs/solo-qmix.md).
_MIXER_RATE = 0.1


def _named_tensors(network: AgentNetwork, mixer: MonotoneMixer | None) -> dict[str, nn.Parameter]:
    mixed = {} if mixer is None else {f"mixer.{name}": tensor for name, tensor in mixer.named_parameters()}
    return network.named_tensors() | mixed
