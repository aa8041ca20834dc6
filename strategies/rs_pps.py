"""RS-PPS: agents that earned more count more."""

from collections.abc import Sequence

from strategies.arithmetic import Weighting, reward_weights, softmax_weights
from strategies.sharing import Sharing
from strategies.update import Update


class RSPPS(Sharing):
    """RS-PPS: like A-PPS, but agents with more reward count more in the mean (Zhang et al., AAMAS 2024).

    w_g = sum of (R_i / sum of R) w_i, R_i being agent i's reward buffer.

    With `reward-weighting="softmax"` the weights are the softmax of the agents' mean returns per battle instead, which
    is what the authors' released code computes.

    Shares every tensor of the agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih,
    rnn.bias_hh, fc2.weight, fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def weights(self, updates: Sequence[Update]) -> Weighting:
        if self.settings.reward_weighting == "softmax":
            return softmax_weights([update.mean_return for update in updates])
        return reward_weights([update.reward for update in updates])
