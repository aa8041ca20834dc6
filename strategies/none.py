"""No sharing: the baseline of agents that learn alone."""

from collections.abc import Sequence

from strategies.arithmetic import Weighting, uniform_weights
from strategies.sharing import Sharing
from strategies.update import Update


class NoSharing(Sharing):
    """No sharing: every agent keeps its own parameters, w_i <- w_i.

    Shares no tensor, neither of the agent network nor of the mixer.
    """

    def weights(self, updates: Sequence[Update]) -> Weighting:
        return uniform_weights(len(updates))  # required of every strategy; without shared tensors nobody asks

    def shared(self, names: Sequence[str]) -> list[str]:
        return []
