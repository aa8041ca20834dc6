"""No sharing: the baseline of agents that learn alone."""

from collections.abc import Sequence

from strategies.sharing import Sharing


class NoSharing(Sharing):
    """No sharing: each agent keeps its own weights and learns alone.

    w_i <- w_i. Shares no tensor, neither of the agent network nor of the mixer.
    """

    def shared(self, names: Sequence[str]) -> list[str]:
        return []
