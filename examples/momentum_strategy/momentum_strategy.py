"""A strategy outside the repository: the shared tensors move with momentum."""

from collections.abc import Sequence

import numpy as np

from strategies.aggregate import Aggregate, Round
from strategies.arithmetic import Tensor
from strategies.own_settings import Setting
from strategies.rs_pps import RSPPS
from strategies.settings import SharingSettings
from strategies.state import State
from strategies.update import Update


class Momentum(RSPPS):
    """Momentum: v <- momentum v + (RS-PPS's average - w_g), w_g <- w_g + v.

    Shares every tensor. The weights are those of RS-PPS.
    """

    own_settings = (
        Setting("momentum", 0.5, "share of the last step that is added to this one", minimum=0.0, maximum=0.99),
    )

    def __init__(self, settings: SharingSettings) -> None:
        super().__init__(settings)
        self.momentum = np.float32(self.own["momentum"])
        self.velocity: dict[str, Tensor] = {}

    def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
        average, weighting = super().combine(updates, names, round_)
        moved = {}
        for name in names:
            step = average[name] - round_.previous[name]
            self.velocity[name] = self.momentum * self.velocity.get(name, np.zeros_like(step)) + step
            moved[name] = round_.previous[name] + self.velocity[name]
        return Aggregate(moved, weighting)

    def state(self) -> State:
        return dict(self.velocity)

    def restore_state(self, state: State) -> None:
        self.velocity = {name: np.asarray(value, np.float32) for name, value in state.items()}
