"""PP-PPS: the first layers stay personal."""

from collections.abc import Sequence

from strategies.arithmetic import split_personal
from strategies.rs_pps import RSPPS


class PPPPS(RSPPS):
    """PP-PPS: personal tensors stay with their agent, the rest is aggregated as in RS-PPS (Zhang et al., AAMAS 2024).

    Personal are the first `personal-layers` of fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih,
    rnn.bias_hh, fc2.weight, fc2.bias. Shares the others (with `personal-layers=4`: rnn.bias_ih, rnn.bias_hh,
    fc2.weight, fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def shared(self, names: Sequence[str]) -> list[str]:
        _, shared = split_personal(names, self.settings.personal_layers)
        return shared
