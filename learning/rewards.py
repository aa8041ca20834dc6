"""The reward buffer: what an agent lately earned, by which RS-PPS and PP-PPS weigh it."""

from collections import deque
from collections.abc import Iterable

from learning.battle import Battle
from learning.settings import RewardCredit


class RewardBuffer:
    """Rewards of the last ``size`` battles, one sum per battle.

    ``credit`` says which rewards count as the agent's: "alive" those of steps it began alive, "team" all.
    """

    def __init__(self, size: int, credit: RewardCredit, sums: Iterable[float] = ()) -> None:
        """``sums`` are those of an earlier buffer (``to_list``), oldest first."""
        self._credit = credit
        self._sums = deque(sums, maxlen=size)

    def add(self, battle: Battle) -> None:
        """Count a finished battle, in place of the oldest when full."""
        earned = battle.rewards if self._credit == "team" else battle.rewards[battle.alive]
        self._sums.append(float(earned.sum(dtype="float64")))

    def total(self) -> float:
        """R_i of RS-PPS (Zhang et al., AAMAS 2024): the sum over the remembered battles, 0 if there are none."""
        return sum(self._sums, 0.0)

    def __len__(self) -> int:
        return len(self._sums)

    def to_list(self) -> list[float]:
        """The sums, oldest first, for keeping."""
        return list(self._sums)
