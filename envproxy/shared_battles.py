"""The battles that a team can train on jointly: states, rewards, and which seats have stored their side of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


@dataclass
class _Battle:
    """A finished battle of T steps and the seats that have stored their side of it."""

    states: NDArray[np.float32]  # [T+1, s]
    rewards: NDArray[np.float32]  # [T]
    terminated: bool
    holders: set[int]


class SharedBattles:
    """Finished battles, the oldest of which make room for new ones; and those in the making, in E slots."""

    def __init__(self, capacity: int, seats: int, slots: int, episode_limit: int, state_size: int) -> None:
        """Up to `capacity` finished battles; `state_size` is 0 where states are not used."""
        self._capacity = capacity
        self._seats = seats
        self._state_size = state_size
        self._battles: dict[int, _Battle] = {}  # battle id -> battle, oldest first
        self._fresh: list[int] = []  # ids of battles that are not kept yet
        # Battles in the making, [E, ...].
        self._states = np.zeros((slots, episode_limit + 1, state_size), np.float32)
        self._rewards = np.zeros((slots, episode_limit), np.float32)
        self._steps = np.zeros(slots, np.int64)

    def see(
        self,
        state: NDArray[np.float32],
        reward: NDArray[np.float32],
        began: NDArray[np.bool_],
        on: NDArray[np.bool_],
    ) -> None:
        """Take down a tick: state [E, s], reward [E] of the step before; where battles began and where one is on."""
        self._steps = np.where(began, 0, self._steps + 1)
        slots = np.flatnonzero(on)
        self._states[slots, self._steps[slots]] = state[slots, : self._state_size]
        going = np.flatnonzero(on & ~began)
        self._rewards[going, self._steps[going] - 1] = reward[going]

    def ended(self, slot: int, battle: int, terminated: bool, holders: set[int]) -> None:
        """The battle in `slot` ended; `holders` have all of it."""
        length = int(self._steps[slot])
        states, rewards = self._states[slot, : length + 1].copy(), self._rewards[slot, :length].copy()
        self._add(battle, _Battle(states, rewards, terminated, holders))
        self._fresh.append(battle)

    def hold(self, seat: int, held: Collection[int]) -> None:
        """Of all these battles, `seat` has stored those in `held`."""
        for number, battle in self._battles.items():
            (battle.holders.add if number in held else battle.holders.discard)(seat)

    def held_by(self, seats: Iterable[int]) -> list[int]:
        """The battles that all these seats have stored, oldest first."""
        wanted = set(seats)
        return [number for number, battle in self._battles.items() if wanted <= battle.holders]

    def lengths(self, battles: Sequence[int]) -> NDArray[np.int64]:
        """How many steps these battles took."""
        return np.array([len(self._battles[number].rewards) for number in battles], np.int64)

    def batch(self, battles: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """States [T+1, B, s], rewards [T, B] and terminated [B] of these battles; T is the longest one's."""
        longest, count = int(self.lengths(battles).max()), len(battles)
        states = np.zeros((longest + 1, count, self._state_size), np.float32)
        rewards = np.zeros((longest, count), np.float32)
        drawn = [self._battles[number] for number in battles]
        for column, battle in enumerate(drawn):
            states[: len(battle.states), column] = battle.states
            rewards[: len(battle.rewards), column] = battle.rewards
        return states, rewards, np.array([battle.terminated for battle in drawn])

    # --- keeping ----------------------------------------------------------------------------------------------

    def fresh(self) -> Arrays:
        """The n battles that are not kept yet, oldest first, end to end: what `restore` takes. Empty if there are none.

        battle uint64 [n], length int64 [n], terminated bool [n], holders bool [n, N], rewards float32 [steps] and
        states float32 [steps + n, s].
        """
        numbers = [number for number in dict.fromkeys(self._fresh) if number in self._battles]
        if not numbers:
            return {}
        battles = [self._battles[number] for number in numbers]
        return {
            "battle": np.array(numbers, np.uint64),
            "length": self.lengths(numbers),
            "terminated": np.array([battle.terminated for battle in battles]),
            "holders": np.array([[seat in battle.holders for seat in range(self._seats)] for battle in battles]),
            "rewards": np.concatenate([battle.rewards for battle in battles]),
            "states": np.concatenate([battle.states for battle in battles]),
        }

    def kept(self) -> None:
        """What is `fresh` has been kept."""
        self._fresh.clear()

    def restore(self, kept: Arrays) -> None:
        """Take in battles that were kept, as newer than all that are here. Raises ValueError if they do not fit."""
        lengths = kept["length"]
        count, steps = len(lengths), int(lengths.sum())
        expected = {
            "battle": (count,),
            "terminated": (count,),
            "holders": (count, self._seats),
            "rewards": (steps,),
            "states": (steps + count, self._state_size),
        }
        for name, shape in expected.items():
            if kept[name].shape != shape:
                raise ValueError(f"{name} of shape {kept[name].shape}; expected {shape}")
        ends = np.cumsum(lengths)[:-1]
        rewards = np.split(kept["rewards"], ends)
        states = np.split(kept["states"], ends + np.arange(1, count))
        for i, number in enumerate(kept["battle"].tolist()):
            holders = set(np.flatnonzero(kept["holders"][i]).tolist())
            self._add(number, _Battle(states[i], rewards[i], bool(kept["terminated"][i]), holders))

    def _add(self, number: int, battle: _Battle) -> None:
        self._battles.pop(number, None)  # of a round that is played again
        self._battles[number] = battle
        if len(self._battles) > self._capacity:
            del self._battles[next(iter(self._battles))]
