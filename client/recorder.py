"""Records what one seat lives through in E battles, and hands each battle over when it ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envproxy.protocol import Ended, Tick
from learning.battle import Battle
from learning.settings import SeatSpec


class Recorder:
    """E battles in the making; arrays are [E, episode_limit + 1, ...]."""

    def __init__(self, spec: SeatSpec, battles: int) -> None:
        limit = spec.episode_limit
        self._observations = np.zeros((battles, limit + 1, spec.obs_size), np.float32)
        self._available = np.zeros((battles, limit + 1, spec.n_actions), np.bool_)
        self._actions = np.zeros((battles, limit), np.uint8)
        self._rewards = np.zeros((battles, limit), np.float32)
        self._ids = np.zeros(battles, np.uint64)
        self._step = np.zeros(battles, np.int64)

    def forget(self) -> None:
        """Forget the battles in the making: later ticks begin new ones, even under the same ids."""
        self._ids = np.zeros_like(self._ids)

    def see(self, tick: Tick) -> tuple[NDArray[np.bool_], list[Battle]]:
        """Take in a tick; return where a battle began (bool [E]), and the battles that ended, in slot order.

        A battle that vanishes without having ended (this seat was held), or that is void, is forgotten.
        """
        began = (tick.battles != 0) & (tick.battles != self._ids)
        self._ids = tick.battles
        self._step = np.where(began, 0, self._step + 1)
        on = np.flatnonzero(tick.battles)
        steps = self._step[on]
        self._observations[on, steps] = tick.observations[on]
        self._available[on, steps] = tick.available[on]
        going = on[steps > 0]
        self._rewards[going, self._step[going] - 1] = tick.rewards[going]
        return began, [self._battle(int(slot), tick) for slot in np.flatnonzero(tick.counted)]

    def acted(self, actions: NDArray[np.uint8]) -> None:
        """Take down the answer [E] to the tick just seen; in a battle that has ended it means nothing."""
        on = np.flatnonzero(self._ids)
        steps = np.minimum(self._step[on], self._actions.shape[1] - 1)
        self._actions[on, steps] = actions[on]

    def _battle(self, slot: int, tick: Tick) -> Battle:
        length = int(self._step[slot])
        return Battle(
            observations=self._observations[slot, : length + 1].copy(),
            available=self._available[slot, : length + 1].copy(),
            actions=self._actions[slot, :length].copy(),
            rewards=self._rewards[slot, :length].copy(),
            terminated=bool(tick.ended[slot] & Ended.TERMINATED),
            id=int(tick.battles[slot]),
        )
