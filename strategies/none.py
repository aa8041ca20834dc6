"""No sharing: the baseline of agents that learn alone."""

from collections.abc import Sequence

from strategies.sharing import Sharing


class NoSharing(Sharing):
    """No sharing: every agent keeps its own parameters, w_i <- w_i.

    Shares no tensor, neither of the agent network nor of the mixer.
    """

    def shared(self, names: Sequence[str]) -> list[str]:
        return []
