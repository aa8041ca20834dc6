"""Parameters that are trained: their target copies, their optimiser, and how far they have come."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from learning.adam import BETA1, BETA2, EPSILON, adam_step

_ADAM_MOMENTS = ("exp_avg", "exp_avg_sq")
_M = TypeVar("_M", bound=nn.Module)


class TrainableParameters:
    """Named parameters under Adam, with target copies that follow every ``target_update_every`` steps.

    Parameters of one learning rate lie in one array, one after the other, and so do their gradients and targets: what
    is done to all of them is one operation. The named tensors are views of these arrays.
    """

    def __init__(
        self,
        online: Mapping[str, nn.Parameter],
        target: Mapping[str, nn.Parameter],
        learning_rate: float,
        target_update_every: int,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        """``target`` has the names of ``online``; both are changed in place. There may be none of them.

        ``rates`` are learning rates in parts of ``learning_rate``, 1 for names that are not among them.
        """
        self.online = dict(online)
        self._target = dict(target)
        by_rate: dict[float, list[str]] = {}
        for name in self.online:
            by_rate.setdefault((rates or {}).get(name, 1.0), []).append(name)
        self._rates = list(by_rate)  # of the arrays, in parts of the learning rate
        self.arrays = [ParameterArray(self.online, self._target, names) for names in by_rate.values()]
        self._learning_rate = learning_rate
        self._target_update_every = target_update_every
        self.steps = 0

    def set_learning_rate(self, rate: float) -> None:
        """Learn at this rate from now on, each array at its part of it."""
        self._learning_rate = rate

    @property
    def learning_rates(self) -> list[float]:
        """Learning rates of the arrays."""
        return [part * self._learning_rate for part in self._rates]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for array in self.arrays:
            array.gradient.zero_()

    def take_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Have these gradients from now on, [P] for each of the arrays."""
        for array, gradient in zip(self.arrays, gradients, strict=True):
            array.gradient.copy_(gradient)

    def squared_norm(self) -> float:
        """Square of the gradients' global norm, in float64."""
        return sum(float(array.gradient.square().sum(dtype=torch.float64)) for array in self.arrays)

    def step(self, scale: float) -> None:
        """Take an optimiser step with ``scale`` times the gradients there are; let the targets follow if it is time."""
        if any(not array.gradient.is_cpu for array in self.arrays):
            take_steps([self], [[array.gradient * scale for array in self.arrays]])
            return
        for array, rate in zip(self.arrays, self.learning_rates, strict=True):
            array.step += 1
            moments = (array.moments[key] for key in _ADAM_MOMENTS)
            adam_step(array.online, array.gradient, *moments, step=int(array.step), rate=rate, scale=scale)
        self.stepped()

    def stepped(self) -> None:
        """Count an optimiser step; let the targets follow if it is time."""
        self.steps += 1
        if self.steps % self._target_update_every == 0:
            self.sync_target()

    def sync_target(self) -> None:
        """Copy the parameters to their targets."""
        for array in self.arrays:
            array.target.copy_(array.online.detach())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that ``restore`` needs to resume bit for bit: tensors (copies, on the CPU) and counters."""
        tensors: dict[str, Tensor] = {f"online.{name}": tensor for name, tensor in self.online.items()}
        tensors |= {f"target.{name}": tensor for name, tensor in self._target.items()}
        for array in self.arrays if self.steps else []:
            for key, moment in array.moments.items():
                tensors |= {f"adam.{key}.{name}": part for name, part in array.parts(moment).items()}
            tensors |= {f"adam.step.{name}": array.step for name in array.shapes}
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}, {"steps": self.steps}

    def restore(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        """Become what this is the ``state`` of.

        Raises:
            ValueError: a tensor is missing, unknown or of another shape; nothing has been changed then.
        """
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        expected = self._state_shapes(trained=counters["steps"] > 0)
        if found != expected:
            raise ValueError("not this learner's state: " + _differences(found, expected))
        with torch.no_grad():
            for name, parameter in self.online.items():
                parameter.copy_(tensors[f"online.{name}"])
                self._target[name].copy_(tensors[f"target.{name}"])
            for array in self.arrays:
                array.restore_optimiser(tensors if counters["steps"] > 0 else None)
        self.steps = counters["steps"]

    def _state_shapes(self, *, trained: bool) -> dict[str, tuple[int, ...]]:
        shapes = {name: tuple(parameter.shape) for name, parameter in self.online.items()}
        expected = {f"{part}.{name}": shape for part in ("online", "target") for name, shape in shapes.items()}
        if trained:
            expected |= {f"adam.{key}.{name}": shape for key in _ADAM_MOMENTS for name, shape in shapes.items()}
            expected |= {f"adam.step.{name}": () for name in shapes}
        return expected


class ParameterArray:
    """Some of the parameters, one after the other in one array; their gradients, targets and Adam's moments likewise.

    Attributes:
        shapes: of the parameters, by name, in their order.
        online: [P].
        target: [P].
        gradient: [P].
        moments: [P] each, by their names in a state.
        step: float32 scalar, the optimiser's steps.
    """

    def __init__(
        self, online: Mapping[str, nn.Parameter], target: Mapping[str, nn.Parameter], names: Sequence[str]
    ) -> None:
        """Move the named parameters, their targets and their gradients (zeros) into arrays."""
        self.shapes = {name: online[name].shape for name in names}
        self.online = nn.Parameter(torch.cat([online[name].detach().flatten() for name in names]))
        self.target = torch.cat([target[name].detach().flatten() for name in names])
        self.gradient = torch.zeros_like(self.target)
        self.moments = {key: torch.zeros_like(self.target) for key in _ADAM_MOMENTS}
        self.step = torch.zeros((), dtype=torch.float32, device=self.target.device)
        for name, part in self.parts(self.online.detach()).items():
            online[name].data = part
        for name, part in self.parts(self.gradient).items():
            online[name].grad = part
        for name, part in self.parts(self.target).items():
            target[name].data = part

    def parts(self, flat: Tensor) -> dict[str, Tensor]:
        """The named parts of arrays like these [.., P], in their shapes [.., *shape]: views."""
        split = torch.split(flat, [shape.numel() for shape in self.shapes.values()], -1)
        return {
            name: part.view(*flat.shape[:-1], *shape)
            for (name, shape), part in zip(self.shapes.items(), split, strict=True)
        }

    def restore_optimiser(self, tensors: Mapping[str, Tensor] | None) -> None:
        """Take the optimiser's part of a state; None: that of a learner that has taken no step."""
        if tensors is None:
            for array in (self.step, *self.moments.values()):
                array.zero_()
            return
        self.step.copy_(tensors[f"adam.step.{next(iter(self.shapes))}"])
        for key, moment in self.moments.items():
            for name, part in self.parts(moment).items():
                part.copy_(tensors[f"adam.{key}.{name}"])


def take_steps(members: Sequence[TrainableParameters], gradients: Sequence[Sequence[Tensor]]) -> None:
    """Take one optimiser step with each of the members, which have the same parameters, by Adam (Kingma and Ba, 2015).

    All arrays of one learning rate are one operation. Members whose targets are due to follow let them follow.

    Args:
        members: on one device.
        gradients: of each member's arrays, [P] each.
    """
    by_rate: dict[float, list[tuple[ParameterArray, Tensor]]] = {}
    for member, of_arrays in zip(members, gradients, strict=True):
        for rate, array, gradient in zip(member.learning_rates, member.arrays, of_arrays, strict=True):
            by_rate.setdefault(rate, []).append((array, gradient))
    for rate, pairs in by_rate.items():
        arrays = [array for array, _ in pairs]
        with torch.no_grad():
            adam(
                [array.online for array in arrays],
                [gradient for _, gradient in pairs],
                [array.moments["exp_avg"] for array in arrays],
                [array.moments["exp_avg_sq"] for array in arrays],
                [],
                [array.step for array in arrays],
                fused=True,
                amsgrad=False,
                beta1=BETA1,
                beta2=BETA2,
                lr=rate,
                weight_decay=0.0,
                eps=EPSILON,
                maximize=False,
            )
    for member in members:
        member.stepped()


def clip_scale(norm: float, most: float) -> float:
    """By what gradients of this global norm are multiplied, so that it is ``most`` at most (``clip_grad_norm_``)."""
    return min(1.0, most / (norm + 1e-6))


def frozen_copy(module: _M) -> _M:
    """A copy that takes no gradients: where a target network begins."""
    return copy.deepcopy(module).requires_grad_(False)


def _differences(found: Mapping[str, object], expected: Mapping[str, object]) -> str:
    names = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    return "; ".join(
        f"{name} is {found.get(name, 'missing')}, expected {expected.get(name, 'no such tensor')}" for name in names[:3]
    )
