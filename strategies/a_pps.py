"""A-PPS: every agent counts the same."""

from strategies.sharing import Sharing


class APPS(Sharing):
    """A-PPS: all agents continue with the mean of their weights (Zhang et al., AAMAS 2024).

    w_g = mean of w_i, which is what `Sharing.weights` has.

    Shares every tensor of the agent network (fc1.weight, fc1.bias, rnn.weight_ih, rnn.weight_hh, rnn.bias_ih,
    rnn.bias_hh, fc2.weight, fc2.bias) and, where the agent has a mixer of its own, every tensor of it ("mixer.*").
    """
