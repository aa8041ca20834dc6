"""Acting: the agent network run step by step over an arena's battles."""

import numpy as np
import torch
from numpy.typing import NDArray

from learning.exploration import choose_actions
from learning.network import AgentNetwork
from learning.settings import SeatSpec


class Actor:
    """Plays one seat in E battles at once; remembers each battle's hidden state and last action.

    It acts with the network it is given, not a copy: what the learner changes is played at the next tick.
    It computes where the network is.
    """

    def __init__(self, network: AgentNetwork, spec: SeatSpec, battles: int) -> None:
        self._network = network
        self._spec = spec
        self._rows = np.arange(battles)
        self._device = network.fc1.weight.device
        self._hidden = torch.zeros(battles, network.rnn.hidden_size, device=self._device)
        self._inputs = torch.zeros(battles, spec.input_size, device="cpu")
        # Views of the inputs, so that a tick writes only what it changes.
        inputs = self._inputs.numpy()
        self._observations = inputs[:, : spec.obs_size]
        self._last_actions = inputs[:, spec.obs_size : spec.obs_size + spec.n_actions]
        inputs[:, spec.obs_size + spec.n_actions + spec.seat] = 1.0

    @torch.inference_mode()
    def begin(self, mask: NDArray[np.bool_]) -> None:
        """Forget the past of the slots (bool [E]) in which a new battle begins."""
        self._hidden[torch.from_numpy(mask)] = 0.0
        self._last_actions[mask] = 0.0

    @torch.inference_mode()
    def act(
        self,
        observations: NDArray[np.float32],
        available: NDArray[np.bool_],
        epsilon: float,
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Actions of one tick.

        Args:
            observations: float32 [E, o].
            available: bool [E, a]; all False in an idle slot, which gets action 0.
            epsilon: probability of a random available action; 0 is greedy and draws nothing from ``rng``.
            rng: source of the exploration.

        Returns:
            uint8 [E].
        """
        self._observations[:] = observations
        q, self._hidden = self._network.step(self._inputs.to(self._device), self._hidden)
        actions = choose_actions(q.cpu().numpy(), available, epsilon, rng)
        self._last_actions[:] = 0.0
        self._last_actions[self._rows, actions] = 1.0
        return actions
