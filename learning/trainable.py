"""Parameters that are trained: their target copies, their optimiser, and how far they have come."""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

_ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")
_M = TypeVar("_M", bound=nn.Module)


class TrainableParameters:
    """Named parameters under Adam, with target copies that follow every ``target_update_every`` steps."""

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
        by_rate: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.online.items():
            by_rate.setdefault((rates or {}).get(name, 1.0), []).append(parameter)
        self._rates = list(by_rate)  # of the optimiser's groups, in parts of the learning rate
        groups = [{"params": parameters, "lr": rate * learning_rate} for rate, parameters in by_rate.items()]
        self._optimiser = torch.optim.Adam(groups, fused=True) if groups else None
        self._target_update_every = target_update_every
        self.steps = 0

    def set_learning_rate(self, rate: float) -> None:
        """Learn at this rate from now on, each group at its part of it."""
        if self._optimiser is not None:
            for group, part in zip(self._optimiser.param_groups, self._rates, strict=True):
                group["lr"] = part * rate

    def zero_grad(self) -> None:
        """Forget the gradients."""
        if self._optimiser is not None:
            self._optimiser.zero_grad()

    def squared_norm(self) -> float:
        """Square of the gradients' global norm, in float64."""
        gradients = (parameter.grad for parameter in self.online.values())
        return sum(float(g.square().sum(dtype=torch.float64)) for g in gradients if g is not None)

    def scale_grad(self, scale: float) -> None:
        """Multiply all gradients by ``scale``."""
        for parameter in self.online.values():
            if parameter.grad is not None:
                parameter.grad.mul_(scale)

    def step(self) -> None:
        """Take one optimiser step with the gradients there are; let the targets follow if it is time."""
        if self._optimiser is not None:
            self._optimiser.step()
        self.steps += 1
        if self.steps % self._target_update_every == 0:
            self.sync_target()

    def sync_target(self) -> None:
        """Copy the parameters to their targets."""
        with torch.no_grad():
            for name, parameter in self.online.items():
                self._target[name].copy_(parameter)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that ``restore`` needs to resume bit for bit: tensors (copies, on the CPU) and counters."""
        tensors = {f"online.{name}": tensor for name, tensor in self.online.items()}
        tensors |= {f"target.{name}": tensor for name, tensor in self._target.items()}
        if self._optimiser is not None:
            for name, parameter in self.online.items():
                for key, moment in self._optimiser.state[parameter].items():
                    tensors[f"adam.{key}.{name}"] = moment
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
            if counters["steps"] > 0:
                for name, parameter in self.online.items():
                    kept = {key: tensors[f"adam.{key}.{name}"] for key in _ADAM_STATE}
                    moments = {key: moment.to(parameter.device, copy=True) for key, moment in kept.items()}
                    self._optimiser.state[parameter] = moments
        self.steps = counters["steps"]

    def _state_shapes(self, *, trained: bool) -> dict[str, tuple[int, ...]]:
        shapes = {name: tuple(parameter.shape) for name, parameter in self.online.items()}
        expected = {f"{part}.{name}": shape for part in ("online", "target") for name, shape in shapes.items()}
        if trained:
            for key in _ADAM_STATE:
                expected |= {f"adam.{key}.{name}": () if key == "step" else shape for name, shape in shapes.items()}
        return expected


def frozen_copy(module: _M) -> _M:
    """A copy that takes no gradients: where a target network begins."""
    return copy.deepcopy(module).requires_grad_(False)


def _differences(found: Mapping[str, object], expected: Mapping[str, object]) -> str:
    names = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    return "; ".join(
        f"{name} is {found.get(name, 'missing')}, expected {expected.get(name, 'no such tensor')}" for name in names[:3]
    )
