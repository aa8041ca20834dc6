"""The agent network: one set of weights, run over whole battles to learn and step by step to act."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from learning.gru import packed_gru
from learning.settings import SeatSpec


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

    def forward(self, inputs: Tensor, sizes: Tensor) -> Tensor:
        """Q-values [rows, a] of whole sequences, from a zero hidden state.

        Args:
            inputs: float32 [rows, in], packed.
            sizes: int64 [T], on the CPU: sequences that have a row of each step, not increasing (``Packing.sizes``).
        """
        features = torch.relu(self.fc1(inputs))
        if features.is_cpu:
            hidden = packed_gru(features, sizes, *self.rnn.all_weights[0])
        else:
            hidden = self.rnn(PackedSequence(features, sizes))[0].data
        # What fc2 computes, transposed: the CPU's products are slow where the result has few columns.
        return torch.addmm(self.fc2.bias.unsqueeze(1), self.fc2.weight, hidden.T).T

    def step(self, inputs: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """One time step with the same weights.

        Args:
            inputs: float32 [E, in].
            hidden: float32 [E, h]; zeros at the start of a battle.

        Returns:
            Q-values [E, a] and the next hidden state [E, h].
        """
        hidden = torch.gru_cell(torch.relu(self.fc1(inputs)), hidden, *self.rnn.all_weights[0])
        return self.fc2(hidden), hidden

    def named_tensors(self) -> dict[str, nn.Parameter]:
        """The 8 parameters under the names and in the order in which agents exchange them."""
        return {name.removesuffix("_l0"): parameter for name, parameter in self.named_parameters()}


def packed_inputs(observations: Tensor, actions: Tensor, spec: SeatSpec) -> Tensor:
    """Network inputs of whole battles: observation, last action one-hot (zeros at first), agent id one-hot.

    Args:
        observations: float32 [rows, o], packed, of all moments.
        actions: int64 [rows - B], packed, of all steps; each leads to one of the moments after the first B.
        spec: the seat whose battles these are.

    Returns:
        float32 [rows, o + a + n_agents], packed.
    """
    inputs = observations.new_zeros(len(observations), spec.input_size)
    inputs[:, : spec.obs_size] = observations
    reached = inputs[len(observations) - len(actions) :, spec.obs_size : spec.obs_size + spec.n_actions]
    reached.scatter_(1, actions.unsqueeze(1), 1.0)
    inputs[:, spec.obs_size + spec.n_actions + spec.seat] = 1.0
    return inputs
