"""A-PPS: every agent counts the same."""

from collections.abc import Sequence

from strategies.arithmetic import Weighting, uniform_weights
from strategies.sharing import Sharing
from strategies.update import Update


class APPS(Sharing):
    """A-PPS: w_g = mean of w_i over all agents (Zhang et al., AAMAS 2024).

    Shares every tensor of the agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih,
    rnn.bias_hh, fc2.weight, fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """

    def weights(self, updates: Sequence[Update]) -> Weighting:
        return uniform_weights(len(updates))
