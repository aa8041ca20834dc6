"""One learner for all seats of a team: QMIX and VDN as they are trained centrally, with shared parameters."""

import copy
from typing import Self

from torch import Tensor

from learning.learner import Learner
from learning.settings import LearningSettings, SeatSpec
from learning.utilities import Utilities, UtilitiesOnDevice


class SharedLearner(Learner):
    """One seat's side of a learner that all N seats share: one network, one target network, one optimiser.

    It is a learner with mixing "joint". A training step follows the sum of the seats' gradients; all seats take part
    in every step, each stage of it in seat order. The seats differ in the agent id that the network is told. Each runs
    the network over its own side of the batch: with 96 battles one run over all sides is not faster (one CPU thread).
    """

    def beside(self, spec: SeatSpec) -> Self:
        """The side of another seat; what one side loads or learns, all have."""
        other = copy.copy(self)
        other.spec = spec
        return other

    def backpropagate(self, utilities: Utilities | UtilitiesOnDevice, slopes: Tensor) -> float:
        """As a learner of its own, but what arrives is added up: the last seat tells its squared norm, others 0."""
        if self.spec.seat == 0:
            self.parameters.zero_grad()
        self.parameters.arrays[0].gradient.add_(utilities.gradient(slopes.to(self.device)))
        return self.parameters.squared_norm() if self._is_last else 0.0

    def apply(self, scale: float) -> None:
        """The last seat takes the step, for all."""
        if self._is_last:
            super().apply(scale)

    @property
    def _is_last(self) -> bool:
        return self.spec.seat == self.spec.n_agents - 1


class SharedLearners:
    """Makes the learners of one team's seats, all sides of one: where seats are given a `Learner` each otherwise.

    They are made in seat order; with seat 0 another team begins.
    """

    def __init__(self) -> None:
        self._made: SharedLearner | None = None

    def __call__(self, spec: SeatSpec, settings: LearningSettings, seed: int) -> Learner:
        if self._made is None or spec.seat == 0:
            self._made = SharedLearner(spec, settings, seed)
        return self._made.beside(spec)
