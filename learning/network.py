"""The agent network: one set of weights, run over whole battles to learn and step by step to act."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from learning.gru import packed_gru
from learning.settings import SeatSpec
from learning.td import battle_mask


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

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Q-values [T, B, a] of whole sequences, from a zero hidden state.

        Args:
            inputs: float32 [T, B, in].
            lengths: int64 [B], not increasing, the first being T; Q-values beyond a length are 0.
        """
        packed = pack_padded_sequence(inputs, lengths.cpu())  # it takes no others
        features = packed._replace(data=torch.relu(self.fc1(packed.data)))
        hidden = packed_gru(features, *self.rnn.all_weights[0])
        # What pad_packed_sequence does, whose backward pass copies once for each length.
        places = battle_mask(lengths, len(inputs)).flatten().nonzero().squeeze(1)
        q: Tensor = self.fc2(hidden.data)
        padded = q.new_zeros(len(inputs) * len(lengths), q.shape[1]).index_copy(0, places, q)
        return padded.view(len(inputs), len(lengths), -1)

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


def sequence_inputs(observations: Tensor, actions: Tensor, spec: SeatSpec) -> Tensor:
    """Network inputs of whole battles: observation, last action one-hot (zeros at first), agent id one-hot.

    Args:
        observations: float32 [T+1, B, o].
        actions: int64 [T, B].
        spec: the seat whose battles these are.

    Returns:
        float32 [T+1, B, o + a + n_agents].
    """
    steps, battles, obs_size = observations.shape
    inputs = observations.new_zeros(steps, battles, spec.input_size)
    inputs[..., :obs_size] = observations
    inputs[1:, :, obs_size : obs_size + spec.n_actions].scatter_(2, actions.unsqueeze(2), 1.0)
    inputs[..., obs_size + spec.n_actions + spec.seat] = 1.0
    return inputs
