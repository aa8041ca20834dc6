"""The backend: E battles as two arrays, and the checks that stand between a caller and compiled code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import MapSpec, Observation, StepResult, check_array, whole_battles
from envproxy.backends.skirmish import engine
from envproxy.backends.skirmish.maps import MapFacts, map_facts
from envproxy.backends.skirmish.physics import NEIGHBOURS
from envproxy.backends.skirmish.records import PROGRESS, UNIT
from envproxy.backends.skirmish.snapshot import Snapshot, check_fits
from envproxy.maps import map_spec
from envproxy.recording import FRAME
from envproxy.rules import Rules


class Skirmish:
    """E battles of one map that step together. See `envproxy.backend.Backend` for what the methods promise.

    `units` UNIT [E, U], allies then enemies, and `progress` PROGRESS [E] are all there is of the battles. Tests
    write to them between steps to set a scene. A copy (pickle, copy, deepcopy) has battles of its own, as they are now.
    """

    def __init__(self, map_name: str, battles: int, rules: Rules, masked: bool = True) -> None:
        """Make battles, none of them started.

        With `masked` False a step takes actions that the mask forbids: attacks and healing at any range, moves into
        walls, and no-op of a living unit, which keeps its order. Observations show the mask all the same.
        """
        battles = whole_battles(battles)
        self._masked = masked
        self._rules = rules = Rules.require(rules)
        self._facts = map_facts(map_name, rules)
        self._spec = map_spec(map_name, rules)
        self.units = np.zeros((battles, len(self._facts.roster)), UNIT)
        self.progress = np.zeros(battles, PROGRESS)
        self._near = np.empty((NEIGHBOURS * len(self._facts.roster), 2), np.int64)

    def __getstate__(self) -> tuple[str, Rules, bool, NDArray[np.void], NDArray[np.void]]:
        return self._spec.name, self._rules, self._masked, self.units.copy(), self.progress.copy()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # The facts are made again: a copy of their read-only arrays can be written to, and is another type to numba.
        map_name, rules, masked, units, progress = state
        self.__init__(map_name, len(progress), rules, masked)  # type: ignore[misc]
        self.units, self.progress = units, progress

    @property
    def spec(self) -> MapSpec:
        """Sizes of the map."""
        return self._spec

    @property
    def facts(self) -> MapFacts:
        """What is the same in every battle of the map."""
        return self._facts

    @property
    def battles(self) -> int:
        """E, the number of battles."""
        return len(self.progress)

    @property
    def repeatable(self) -> bool:
        """A battle is a function of its seed and actions."""
        return True

    @property
    def quick(self) -> bool:
        """A step takes milliseconds at most."""
        return True

    @property
    def restarts(self) -> int:
        """None: there is nothing to restart."""
        return 0

    @property
    def provenance(self) -> Mapping[str, str]:
        """Empty: the battles are of this very version."""
        return {}

    def prepare(self) -> None:
        """Compile the simulator, or load it compiled: a battle of its own goes through all of it."""
        trial = type(self)(self._spec.name, 1, self._rules)
        trial.reset(np.ones(1, np.bool_), np.zeros(1, np.uint64))
        trial.step(trial.observe().available.argmax(axis=2).astype(np.uint8))

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        """Start a new battle where `mask` [E] is True, from its entry of `seeds` [E]."""
        check_array("mask", mask, np.dtype(np.bool_), (self.battles,))
        check_array("seeds", seeds, np.dtype(np.uint64), (self.battles,))
        engine.start_battles(
            self.units, self.progress, self._facts, self._near, np.ascontiguousarray(mask), np.ascontiguousarray(seeds)
        )

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        """Play one environment step with `actions` [E, N]."""
        check_array("actions", actions, np.dtype(np.uint8), (self.battles, self._spec.n_agents))
        actions = np.ascontiguousarray(actions)
        reward = np.empty(self.battles, np.float32)
        terminated, truncated, won, void = np.zeros((4, self.battles), np.bool_)
        place = engine.play_step(
            self.units,
            self.progress,
            self._facts,
            self._near,
            actions,
            self._masked,
            reward,
            terminated,
            truncated,
            won,
        )
        if place >= 0:
            battle, seat = divmod(place, self._spec.n_agents)
            refused = "available" if self._masked else "possible"
            raise ValueError(
                f"battle {battle}, seat {seat}: action {actions[battle, seat]} is not {refused}; nothing was played"
            )
        return StepResult(reward, terminated, truncated, won, void)

    def observe(self) -> Observation:
        """Return the present observations, availability and state."""
        spec = self._spec
        seen = Observation(
            np.empty((self.battles, spec.n_agents, spec.obs_size), np.float32),
            np.empty((self.battles, spec.n_agents, spec.n_actions), np.bool_),
            np.empty((self.battles, spec.state_size), np.float32),
        )
        engine.observe_battles(self.units, self.progress, self._facts, *seen)
        return seen

    def frame(self, battle: int) -> NDArray[np.void]:
        """Return the units FRAME [U] of battle 0..E-1 as they are now, allies then enemies."""
        self._check_slot(battle)
        units = self.units[battle]
        frame = np.empty(len(units), FRAME)
        for name in FRAME.names or ():
            frame[name] = units[name]
        return frame

    def snapshot(self, battle: int) -> Snapshot:
        """Return a copy of battle 0..E-1 as it stands, which `restore` can put back any number of times."""
        self._check_slot(battle)
        return Snapshot(self._spec.name, self._rules, self.units[battle].copy(), self.progress[battle, ...].copy())

    def restore(self, battle: int, snapshot: Snapshot) -> None:
        """Let battle 0..E-1 be the one that was copied, in this or in another batch of the same map and rules.

        With the same actions it continues as the other did, bit for bit. Raises ValueError, naming the reason, if the
        snapshot is not one of this map and these rules; then nothing has changed.
        """
        self._check_slot(battle)
        check_fits(snapshot, self._spec.name, self._rules, self._facts)
        self.units[battle] = snapshot.units
        self.progress[battle] = snapshot.progress

    def close(self) -> None:
        """Do nothing: the battles hold nothing but memory."""

    def _check_slot(self, battle: int) -> None:
        if not 0 <= battle < self.battles:
            raise ValueError(f"there is no battle {battle}; there are 0..{self.battles - 1}")
