"""Parameters that are trained: their target copies, their optimiser, and how far they have come."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

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
        self._arrays = [_Array(self.online, self._target, names) for names in by_rate.values()]
        groups = [
            {"params": [array.online], "lr": rate * learning_rate}
            for rate, array in zip(self._rates, self._arrays, strict=True)
        ]
        self._optimiser = torch.optim.Adam(groups, fused=True) if groups else None
        self._target_update_every = target_update_every
        self.steps = 0

    def set_learning_rate(self, rate: float) -> None:
        """Learn at this rate from now on, each array at its part of it."""
        if self._optimiser is not None:
            for group, part in zip(self._optimiser.param_groups, self._rates, strict=True):
                group["lr"] = part * rate

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for array in self._arrays:
            array.gradient.zero_()

    def squared_norm(self) -> float:
        """Square of the gradients' global norm, in float64."""
        return sum(float(array.gradient.square().sum(dtype=torch.float64)) for array in self._arrays)

    def scale_grad(self, scale: float) -> None:
        """Multiply all gradients by ``scale``."""
        for array in self._arrays:
            array.gradient.mul_(scale)

    def step(self) -> None:
        """Take one optimiser step with the gradients there are; let the targets follow if it is time."""
        if self._optimiser is not None:
            self._optimiser.step()
        self.steps += 1
        if self.steps % self._target_update_every == 0:
            self.sync_target()

    def sync_target(self) -> None:
        """Copy the parameters to their targets."""
        for array in self._arrays:
            array.target.copy_(array.online.detach())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that ``restore`` needs to resume bit for bit: tensors (copies, on the CPU) and counters."""
        tensors: dict[str, Tensor] = {f"online.{name}": tensor for name, tensor in self.online.items()}
        tensors |= {f"target.{name}": tensor for name, tensor in self._target.items()}
        if self._optimiser is not None and self.steps:
            for array in self._arrays:
                moments = self._optimiser.state[array.online]
                for key in _ADAM_MOMENTS:
                    tensors |= {f"adam.{key}.{name}": part for name, part in array.parts(moments[key]).items()}
                tensors |= {f"adam.step.{name}": moments["step"] for name in array.shapes}
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
        if self._optimiser is not None:
            self._optimiser.state.clear()
            for array in self._arrays if counters["steps"] > 0 else []:
                first = next(iter(array.shapes))
                moments = {"step": tensors[f"adam.step.{first}"].clone()}
                for key in _ADAM_MOMENTS:
                    moments[key] = torch.cat([tensors[f"adam.{key}.{name}"].flatten() for name in array.shapes])
                self._optimiser.state[array.online] = {
                    key: moment.to(array.online.device) for key, moment in moments.items()
                }
        self.steps = counters["steps"]

    def _state_shapes(self, *, trained: bool) -> dict[str, tuple[int, ...]]:
        shapes = {name: tuple(parameter.shape) for name, parameter in self.online.items()}
        expected = {f"{part}.{name}": shape for part in ("online", "target") for name, shape in shapes.items()}
        if trained:
            expected |= {f"adam.{key}.{name}": shape for key in _ADAM_MOMENTS for name, shape in shapes.items()}
            expected |= {f"adam.step.{name}": () for name in shapes}
        return expected


class _Array:
    """Some of the parameters, one after the other in one array; their gradients and targets likewise."""

    def __init__(
        self, online: Mapping[str, nn.Parameter], target: Mapping[str, nn.Parameter], names: Sequence[str]
    ) -> None:
        """Move the named parameters, their targets and their gradients (zeros) into arrays."""
        self.shapes = {name: online[name].shape for name in names}
        self.online = nn.Parameter(torch.cat([online[name].detach().flatten() for name in names]))
        self.target = torch.cat([target[name].detach().flatten() for name in names])
        self.gradient = self.online.grad = torch.zeros_like(self.online)
        for name, part in self.parts(self.online.detach()).items():
            online[name].data = part
        for name, part in self.parts(self.gradient).items():
            online[name].grad = part
        for name, part in self.parts(self.target).items():
            target[name].data = part

    def parts(self, flat: Tensor) -> dict[str, Tensor]:
        """The named parts of an array like these, in their shapes: views of it."""
        split = torch.split(flat, [shape.numel() for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), split, strict=True)}


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
