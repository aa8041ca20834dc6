"""What each seat of an arena has earned, as the arena saw it: the reward buffers that agents keep, kept a second time.

An agent may claim what it likes; the arena knows every reward and when each unit died. It keeps for each seat what the
seat's run weighs by and says so at the end of a phase; its env proxy may sign the statement (`envproxy.attestation`).
A restarted arena starts with empty accounts, for all seats alike.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from envproxy.protocol import ACTION_NO_OP, REWARD_CREDITS, Earned, RewardOrder


@dataclass
class _Account:
    """One seat's: the order it is kept by, and what each of the last battles brought."""

    order: RewardOrder | None = None
    sums: deque[float] = field(default_factory=deque)


class Ledger:
    """The accounts of N seats in E battles."""

    def __init__(self, battles: int, seats: int) -> None:
        self._accounts = [_Account() for _ in range(seats)]
        self._earned = {credit: np.zeros((battles, seats)) for credit in REWARD_CREDITS}  # in the battles that are on

    def keep(self, seat: int, order: RewardOrder | None) -> None:
        """Keep a seat's account by `order` from now on; the account restarts if the order changed."""
        if self._accounts[seat].order != order:
            self._accounts[seat] = _Account(order, deque(maxlen=order.size if order else 0))

    def begin(self, fresh: NDArray[np.bool_]) -> None:
        """Battles begin in these slots [E]."""
        for earned in self._earned.values():
            earned[fresh] = 0.0

    def see(self, reward: NDArray[np.float32], available: NDArray[np.bool_]) -> None:
        """A step brought the team `reward` [E]; `available` [E, N, n_actions] is what seats could do before it."""
        if not any(account.order for account in self._accounts):
            return
        alive = ~available[:, :, ACTION_NO_OP]  # SMAC offers no-op to dead units alone
        self._earned["team"] += reward[:, None].astype(np.float64)
        self._earned["alive"] += np.where(alive, reward[:, None].astype(np.float64), 0.0)

    def end(self, seat: int, slots: NDArray[np.bool_]) -> None:
        """The battles in these slots [E], which `seat` has played from beginning to end, are over."""
        account = self._accounts[seat]
        if account.order is not None:
            account.sums.extend(float(earned) for earned in self._earned[account.order.credit][slots, seat])

    def balance(self, seat: int, round_: int) -> Earned | None:
        """What a seat has earned at the end of a phase of `round_`; None if it has not said how to count."""
        account = self._accounts[seat]
        if account.order is None:
            return None
        return Earned(account.order, seat, round_, len(account.sums), sum(account.sums, 0.0))
