"""PP-PPS: the first layers stay personal."""

from collections.abc import Sequence

from strategies.rs_pps import RSPPS
from strategies.settings import NETWORK_TENSORS


class PPPPS(RSPPS):
    """PP-PPS: each agent keeps its first layers and shares the others as in RS-PPS (Zhang et al., AAMAS 2024).

    Personal are the first `personal-layers` of fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih,
    rnn.bias_hh, fc2.weight, fc2.bias. Shares the others (with `personal-layers=4`: rnn.bias_ih, rnn.bias_hh,
    fc2.weight, fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def shared(self, names: Sequence[str]) -> list[str]:
        # By name: the order in which tensors arrive means nothing.
        personal = NETWORK_TENSORS[: self.settings.personal_layers]
        return [name for name in names if name not in personal]
