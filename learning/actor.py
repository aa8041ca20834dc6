"""Acting: the agent network run step by step over an arena's battles."""

from collections.abc import Mapping

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
        self._network = network.stepwise(battles)
        self._rows = np.arange(battles)
        # Views of the inputs, so that a tick writes only what it changes.
        inputs = self._network.inputs
        self._observations = inputs[:, : spec.obs_size]
        self._last_actions = inputs[:, spec.obs_size : spec.obs_size + spec.n_actions]
        inputs[:, spec.obs_size + spec.n_actions + spec.seat] = 1.0

    def begin(self, mask: NDArray[np.bool_]) -> None:
        """Forget the past of the slots (bool [E]) in which a new battle begins."""
        self._network.forget(mask)
        self._last_actions[mask] = 0.0

    def act(
        self,
        observations: NDArray[np.float32],
        available: NDArray[np.bool_],
        epsilon: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> NDArray[np.uint8]:
        """Actions of one tick.

        Args:
            observations: float32 [E, o].
            available: bool [E, a]; all False in an idle slot, which gets action 0.
            epsilon: probability of a random available action; 0 is greedy and draws nothing from ``rng``.
            rng: source of the exploration; None where ``epsilon`` is 0.

        Returns:
            uint8 [E].
        """
        self._observations[:] = observations
        actions = choose_actions(self._network.step(), available, epsilon, rng)
        self._last_actions[:] = 0.0
        self._last_actions[self._rows, actions] = 1.0
        return actions


def actor_from(tensors: Mapping[str, NDArray[np.float32]], spec: SeatSpec, battles: int) -> Actor:
    """Return an actor that plays an agent's ``tensors`` on the CPU: all that an evaluation needs of the agent.

    Tensors of a mixer are ignored. From then on the process computes on one thread, as an agent's process does, so that
    the actions are those of the agent.

    Raises:
        ValueError: a tensor of the network is missing, or its shape does not fit ``spec``.
    """
    torch.set_num_threads(1)
    if "fc1.weight" not in tensors:
        raise ValueError("tensor 'fc1.weight' is missing")
    network = AgentNetwork(spec.input_size, len(tensors["fc1.weight"]), spec.n_actions, torch.Generator())
    with torch.no_grad():
        for name, parameter in network.named_tensors().items():
            tensor = tensors.get(name)
            if tensor is None:
                raise ValueError(f"tensor {name!r} is missing")
            if tensor.shape != tuple(parameter.shape):
                raise ValueError(f"tensor {name!r} is of shape {tensor.shape}, expected {tuple(parameter.shape)}")
            parameter.copy_(torch.tensor(tensor))
    return Actor(network, spec, battles)
