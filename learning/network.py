"""The agent network: one set of weights, run over whole battles to learn and step by step to act."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from learning.packed_network import PackedRun, StepwiseNetwork, Weights, packed_values


class AgentNetwork(nn.Module):
    """``fc1 -> ReLU -> GRU -> fc2``: Q-values of an agent from its own history (Zhang et al., AAMAS 2024)."""

    def __init__(self, input_size: int, hidden: int, n_actions: int, generator: torch.Generator) -> None:
        """Initialise orthogonally (each gate of the GRU by itself), zero biases, from ``generator`` alone."""
        super().__init__()
        with torch.device("meta"):  # the layers' own initialisation would draw from the global generator
            self.fc1 = nn.Linear(input_size, hidden)
            self.rnn = nn.GRU(hidden, hidden)
            self.fc2 = nn.Linear(hidden, n_actions)
        self.to_empty(device="cpu")
        nn.init.orthogonal_(self.fc1.weight, nn.init.calculate_gain("relu"), generator)
        for weight in self.rnn.all_weights[0][:2]:
            for gate in weight.detach().chunk(3):
                nn.init.orthogonal_(gate, generator=generator)
        nn.init.orthogonal_(self.fc2.weight, generator=generator)
        for bias in (self.fc1.bias, *self.rnn.all_weights[0][2:], self.fc2.bias):
            nn.init.zeros_(bias)
        self._weights = Weights(tuple(self.named_tensors().values()))

    def run(self, inputs: Tensor, sizes: Tensor) -> PackedRun | RunOnDevice:
        """Run it over whole sequences, from a zero hidden state.

        Args:
            inputs: float32 [rows, in], packed.
            sizes: int64 [T], on the CPU: sequences that have a row of each step, not increasing (``Packing.sizes``).
        """
        return PackedRun(self._weights, inputs, sizes) if inputs.is_cpu else RunOnDevice(self, inputs, sizes)

    def values(self, inputs: Tensor, sizes: Tensor) -> Tensor:
        """Q-values [rows, a], as those of ``run``; gradients cannot be carried back."""
        if inputs.is_cpu:
            return packed_values(self._weights, inputs, sizes)
        with torch.no_grad():
            return RunOnDevice(self, inputs, sizes).values

    def stepwise(self, battles: int) -> StepwiseNetwork:
        """Return what runs this network, with the weights that it will have, step by step over so many battles."""
        if self.fc1.weight.is_cpu:
            return StepwiseNetwork(self._weights, battles)
        return StepwiseOnHost(self, battles)

    def flat_weights(self) -> Tensor:
        """The 8 parameters as they are now, one after the other, [P]: a copy."""
        return torch.cat([parameter.detach().flatten() for parameter in self.parameters()])

    def named_tensors(self) -> dict[str, nn.Parameter]:
        """The 8 parameters under the names and in the order in which agents exchange them."""
        return {name.removesuffix("_l0"): parameter for name, parameter in self.named_parameters()}


class RunOnDevice:
    """What ``PackedRun`` is, with PyTorch's operations, where the network is: on CUDA."""

    def __init__(self, network: AgentNetwork, inputs: Tensor, sizes: Tensor) -> None:
        """See ``AgentNetwork.run``."""
        self._parameters = list(network.parameters())
        hidden = network.rnn(PackedSequence(torch.relu(network.fc1(inputs)), sizes))[0].data
        self._values: Tensor = network.fc2(hidden)
        self.values: Tensor = self._values.detach()

    def gradient(self, slopes: Tensor) -> Tensor:
        """See ``PackedRun.gradient``."""
        gradients = torch.autograd.grad(self._values, self._parameters, slopes)
        return torch.cat([each.flatten() for each in gradients])


class StepwiseOnHost(StepwiseNetwork):
    """A network on CUDA, run step by step on the CPU with a copy of its weights that is made before each step.

    That is two operations on the device. The step itself would be ten, each on a few rows, and a wait for the values.
    """

    def __init__(self, network: AgentNetwork, battles: int) -> None:
        """See ``StepwiseNetwork``."""
        self._network = network
        self._copy = network.flat_weights().cpu()
        shapes = [parameter.shape for parameter in network.parameters()]
        parts = torch.split(self._copy, [shape.numel() for shape in shapes])
        super().__init__(Weights([part.view(shape) for part, shape in zip(parts, shapes, strict=True)]), battles)

    def step(self) -> NDArray[np.float32]:
        """See ``StepwiseNetwork.step``."""
        self._copy.copy_(self._network.flat_weights())
        values: NDArray[np.float32] = super().step()
        return values
