"""Training steps of several learners taken as one: each operation is done for all of them, as for a single one.

Arrays have a leading dimension of the A learners that take part, and battles are padded to the longest of all. The
parameters stay the learners' own: a step gathers them, and Adam changes them where they are. So any learners can take
a step together, whatever they did before, and their states are those of learners that learn alone.
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self, TypeAlias

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils.rnn import pad_sequence

from learning import td
from learning.batch import Batch
from learning.learner import Learner, TakenStep, TrainingStep
from learning.metrics import TrainMetrics
from learning.mixer import MonotoneMixer
from learning.packing import Packing
from learning.stacked_gru import stacked_gru
from learning.trainable import TrainableParameters, take_steps

# Takes training steps of different learners, as `take_together` does.
TakeSteps: TypeAlias = Callable[[Sequence[TrainingStep]], list[TakenStep]]


def take_together(steps: Sequence[TrainingStep]) -> list[TakenStep]:
    """Take steps of different learners; return what ``TrainingStep.take`` would of each, but for rounding.

    Those of equal settings, sizes and numbers of battles are one step, and have its seconds. All learn by
    ``Learner.train``, that is without joint mixing.
    """
    alike: dict[Hashable, list[int]] = {}
    batches = [step.draw() for step in steps]
    for place, step in enumerate(steps):
        alike.setdefault(_kind(step.learner, batches[place]), []).append(place)
    taken: dict[int, TakenStep] = {}
    for places in alike.values():
        began = time.perf_counter()
        learners = [steps[place].learner for place in places]
        batch = StackedBatch.of([batches[place] for place in places])
        metrics = train_stacked(learners, batch)
        seconds = time.perf_counter() - began
        taken |= {place: TakenStep(of_one, seconds) for place, of_one in zip(places, metrics, strict=True)}
    return [taken[place] for place in range(len(steps))]


def _kind(learner: Learner, batch: Batch) -> Hashable:
    return learner.settings, replace(learner.spec, seat=0), len(batch.lengths)


@dataclass(frozen=True)
class StackedBatch:
    """The batches of A learners, of B battles each, padded with zeros to the longest battle of all (T steps).

    Attributes:
        inputs: float32 [A, T+1, B, o + a + n_agents].
        available: bool [A, T+1, B, a].
        actions: int64 [A, T, B].
        rewards: float32 [A, T, B].
        lengths: int64 [A, B], in steps.
        terminated: bool [A, B].
    """

    inputs: Tensor
    available: Tensor
    actions: Tensor
    rewards: Tensor
    lengths: Tensor
    terminated: Tensor

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> Self:
        """Stack batches of as many battles each."""
        moments = [Packing.of(batch.lengths + 1) for batch in batches]
        padded = {
            "inputs": [packing.unpack(batch.inputs) for packing, batch in zip(moments, batches, strict=True)],
            "available": [packing.unpack(batch.available) for packing, batch in zip(moments, batches, strict=True)],
            "actions": [batch.actions for batch in batches],
            "rewards": [batch.rewards for batch in batches],
        }
        return cls(
            **{name: pad_sequence(arrays, batch_first=True) for name, arrays in padded.items()},
            lengths=torch.stack([batch.lengths for batch in batches]),
            terminated=torch.stack([batch.terminated for batch in batches]),
        )

    def to(self, device: torch.device) -> "StackedBatch":
        """The same battles on `device`."""
        return StackedBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class StackedParameters:
    """The parameters of A learners as they are now, with a leading dimension [A, ..].

    Attributes:
        online: by name; gradients are those of ``gradients``.
        target: by name.
    """

    def __init__(self, members: Sequence[TrainableParameters]) -> None:
        self._members = members
        alike = list(zip(*(member.arrays for member in members), strict=True))
        self._flat = [torch.stack([array.online.detach() for array in arrays]).requires_grad_() for arrays in alike]
        self.online: dict[str, Tensor] = {}
        self.target: dict[str, Tensor] = {}
        for arrays, flat in zip(alike, self._flat, strict=True):
            self.online |= arrays[0].parts(flat)
            self.target |= arrays[0].parts(torch.stack([array.target for array in arrays]))

    def gradients(self, losses: Tensor) -> list[Tensor]:
        """The gradients of losses [A], each of its own learner's parameters: [A, P] for each array of these."""
        return list(torch.autograd.grad(losses.sum(), self._flat))

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Let each learner take its optimiser step with its row of the gradients."""
        take_steps(self._members, list(zip(*(gradient.unbind() for gradient in gradients), strict=True)))


def train_stacked(learners: Sequence[Learner], batch: StackedBatch) -> list[TrainMetrics]:
    """One step of learners of equal settings and sizes, as ``Learner.train``; ``batch`` may be on any device."""
    told, batch = learners[0].settings, batch.to(learners[0].device)
    parameters = StackedParameters([learner.parameters for learner in learners])
    values, targets = _values_and_targets(parameters, learners[0], batch)
    mask = torch.vmap(td.battle_mask, (0, None))(batch.lengths, values.shape[1])
    losses = torch.vmap(td.td_loss)(values, targets, mask)
    gradients = parameters.gradients(losses)
    norms = torch.stack([each.square().sum(1, dtype=torch.float64) for each in gradients]).sum(0).sqrt()
    scales = (told.grad_clip / (norms + 1e-6)).clamp(max=1.0).unsqueeze(1)  # see learning.trainable.clip_scale
    parameters.step([gradient * scales.to(gradient.dtype) for gradient in gradients])
    mean, values = torch.vmap(td.masked_mean), values.detach()
    figures = [losses.detach(), mean(values, mask), mean((values - targets).abs(), mask), norms]
    return [TrainMetrics(*of_one) for of_one in torch.stack([each.double() for each in figures], 1).tolist()]


def _values_and_targets(parameters: StackedParameters, learner: Learner, batch: StackedBatch) -> tuple[Tensor, Tensor]:
    """Q_tot of the actions taken and its TD targets, [A, T, B]; gradients in the first only. Waits for no result.

    ``learner`` is one of the learners, for what they have in common.
    """
    told, mixer = learner.settings, learner.mixer
    both = {name: torch.cat([online, parameters.target[name]]) for name, online in parameters.online.items()}
    online, target = stacked_values(both, batch.inputs.repeat(2, 1, 1, 1)).chunk(2)
    values = td.chosen_values(online[:, :-1], batch.actions)
    next_values = td.double_q_values(online.detach(), target.detach(), batch.available)[:, 1:]
    if mixer is not None:
        observed = batch.inputs[..., : learner.spec.obs_size]
        values = _mixed(mixer, parameters.online, values, observed[:, :-1])
        with torch.no_grad():
            next_values = _mixed(mixer, parameters.target, next_values, observed[:, 1:])
    targets = torch.vmap(td.td_targets, (0, 0, 0, 0, None, None))(
        batch.rewards, next_values, batch.lengths, batch.terminated, told.gamma, told.td_lambda
    )
    return values, targets


def stacked_values(weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Q-values [K, T, B, a] of K agent networks over whole padded sequences, as ``AgentNetwork.forward``.

    Args:
        weights: the networks' 8 tensors by the names of ``AgentNetwork.named_tensors``, [K, ..] each.
        inputs: [K, T, B, in].
    """
    features = torch.relu(_linear(inputs, weights["fc1.weight"], weights["fc1.bias"]))
    gru = (weights[f"rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    return _linear(stacked_gru(features, *gru), weights["fc2.weight"], weights["fc2.bias"])


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    rows = torch.baddbmm(bias.unsqueeze(1), inputs.flatten(1, 2), weight.mT)
    return rows.view(*inputs.shape[:3], -1)


def _mixed(mixer: MonotoneMixer, weights: Mapping[str, Tensor], utilities: Tensor, observations: Tensor) -> Tensor:
    """Q_tot [A, T, B] of utilities [A, T, B], by A mixers of the form of ``mixer``."""

    def of_one(tensors: dict[str, Tensor], utility: Tensor, observation: Tensor) -> Tensor:
        q_tot: Tensor = functional_call(mixer, tensors, (utility.unsqueeze(-1), observation))
        return q_tot

    prefix = "mixer."
    tensors = {name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)}
    return torch.vmap(of_one)(tensors, utilities, observations)
