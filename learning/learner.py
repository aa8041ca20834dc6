"""Learning: gradient steps of double Q-learning on batches of battles."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learning.batch import Batch
from learning.compute import compute_device
from learning.errors import td_errors
from learning.metrics import TrainMetrics
from learning.mixer import MonotoneMixer, solo_mixer
from learning.network import AgentNetwork
from learning.packed_network import PackedRun
from learning.packing import Packing
from learning.settings import LearningSettings, SeatSpec
from learning.trainable import TrainableParameters, clip_scale, frozen_copy
from learning.utilities import Utilities, UtilitiesOnDevice


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

    def train(self, batch: Batch, target: Callable[[], Tensor] | None = None) -> TrainMetrics:
        """One gradient step alone; every ``target_update_every`` steps the targets follow.

        A dead unit's steps count like the others: the death step bootstraps from their value. ``target`` returns the
        batch's ``target_values``; None: they are computed here.
        """
        batch = batch.to(self.device)
        utilities = self._utilities(batch, target)
        values, next_values = self._mixed(utilities, batch)
        told = self.settings
        errors = td_errors(values.detach(), next_values, batch, told.gamma, told.td_lambda)
        slopes, of_mixer = errors.slopes, []
        if self.mixer is not None:
            slopes, *each = torch.autograd.grad(values, [utilities.chosen, *self.mixer.parameters()], slopes)
            of_mixer = [torch.cat([gradient.flatten() for gradient in each])]
        self.parameters.take_gradients([utilities.gradient(slopes), *of_mixer])
        grad_norm = self.parameters.squared_norm() ** 0.5
        self.apply(clip_scale(grad_norm, told.grad_clip))
        return TrainMetrics(errors.loss, errors.q_mean, errors.td_error_abs, grad_norm)

    def target_values(self, batch: Batch) -> Tensor:
        """The target network's values [rows, a]; they may be computed while the learner trains with the batch."""
        batch = batch.to(self.device)
        return self._target_network.values(batch.inputs, batch.sizes)

    def utilities(self, batch: Batch) -> Utilities | UtilitiesOnDevice:
        """Own Q of the actions taken and Q' of the best next ones."""
        return self._utilities(batch.to(self.device), None)

    def _utilities(self, batch: Batch, target: Callable[[], Tensor] | None) -> Utilities | UtilitiesOnDevice:
        online = self.network.run(batch.inputs, batch.sizes)
        target_values = self.target_values(batch) if target is None else target()
        if isinstance(online, PackedRun):
            return Utilities(online, target_values, batch)
        return UtilitiesOnDevice(online, target_values, batch)

    def backpropagate(self, utilities: Utilities | UtilitiesOnDevice, slopes: Tensor) -> float:
        """Carry d loss / d chosen [T, B] back through the own network; return the squared norm of what arrives.

        Nothing must have been learned since the utilities were computed.
        """
        self.parameters.take_gradients([utilities.gradient(slopes.to(self.device))])
        return self.parameters.squared_norm()

    def apply(self, scale: float) -> None:
        """Take the step that was prepared by ``backpropagate``, with its gradients times ``scale``."""
        self.parameters.step(scale)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that ``restore`` needs to resume bit for bit: tensors (copies) and counters."""
        return self.parameters.state()

    def restore(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        """Become the learner whose ``state`` this is.

        Raises:
            ValueError: a tensor is missing, unknown or of another shape; nothing has been changed then.
        """
        self.parameters.restore(tensors, counters)

    def _mixed(self, utilities: Utilities | UtilitiesOnDevice, batch: Batch) -> tuple[Tensor, Tensor]:
        """Q_tot and Q'_tot of these utilities, [T, B]; the mixer's operations on the chosen ones are recorded."""
        if self.mixer is None or self._target_mixer is None:
            return utilities.chosen, utilities.best
        # Padding is most of many batches and the mixers are most of the work: they are given the battles' steps alone.
        moments = Packing.of(batch.lengths + 1)
        on = moments.later
        observed = batch.inputs[:, : self.spec.obs_size]
        before, after = observed[moments.step < batch.lengths[moments.battle]], observed[len(batch.lengths) :]
        values = self.mixer(on.pack(utilities.chosen.requires_grad_()).unsqueeze(-1), before)
        with torch.no_grad():
            next_values = self._target_mixer(on.pack(utilities.best).unsqueeze(-1), after)
        return on.unpack(values), on.unpack(next_values)


class TakenStep(NamedTuple):
    """What is known of a training step that was taken, and the seconds it took."""

    metrics: TrainMetrics
    seconds: float


class TrainingStep(NamedTuple):
    """A training step that a learner is to take: by itself, or as one with those of others (``learning.stacked``)."""

    learner: Learner
    draw: Callable[[], Batch]  # its batch, once

    def take(self) -> TakenStep:
        """Take it by itself."""
        began = time.perf_counter()
        metrics = self.learner.train(self.draw())
        return TakenStep(metrics, time.perf_counter() - began)


# The mixer's learning rate, in parts of the network's. At the network's own, solo QMIX learns late on 3m: the mixer
# then explains most of the values itself and shrinks the utility, by which alone an agent acts (docs/solo-qmix.md).
_MIXER_RATE = 0.1


def _named_tensors(network: AgentNetwork, mixer: MonotoneMixer | None) -> dict[str, nn.Parameter]:
    mixed = {} if mixer is None else {f"mixer.{name}": tensor for name, tensor in mixer.named_parameters()}
    return network.named_tensors() | mixed
