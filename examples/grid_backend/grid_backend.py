"""grid: two teams on a small grid. An example of a backend for pps-qmix; docs/backends.md explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import MapSpec, Observation, StepResult, check_array
from envproxy.options import OptionsError
from envproxy.rules import Rules, refuse

NO_OP, STOP, FIRST_MOVE, FIRST_TARGET = 0, 1, 2, 6  # actions: no-op, stop, four moves, one strike per enemy
MOVES = np.array([(0, 1), (0, -1), (1, 0), (-1, 0)])
FULL_HEALTH = 3


@dataclass(frozen=True)
class Grid:
    """A map: `allies` against `enemies` on `side` x `side` cells."""

    allies: int
    enemies: int
    side: int
    limit: int  # steps


MAPS = {"duel": Grid(allies=2, enemies=1, side=5, limit=25), "crossing": Grid(allies=3, enemies=3, side=7, limit=40)}


def map_names() -> list[str]:
    """Return the names of the maps."""
    return list(MAPS)


def create(map_name: str, battles: int, rules: Rules, options: str) -> GridBattles:
    """Return `battles` battles of a map, none started. Raises OptionsError for rules or options: there are none."""
    refuse(rules, tuple(field.name for field in fields(Rules)), "the backend grid has no rules of SMAC")
    if options:
        raise OptionsError(f"backend-options: expected none, for grid has none, found {options!r}")
    return GridBattles(map_name, battles)


class GridBattles:
    """E battles of one map. `envproxy.backend.Backend` says what each method promises."""

    def __init__(self, map_name: str, battles: int) -> None:
        self._grid = grid = MAPS[map_name]
        units = grid.allies + grid.enemies  # allies come first
        self._cells = np.zeros((battles, units, 2), np.int64)
        self._health = np.zeros((battles, units), np.int64)
        self._steps = np.zeros(battles, np.int64)
        self._begun, self._on = np.zeros((2, battles), np.bool_)
        self.spec = MapSpec(
            name=map_name,
            n_agents=grid.allies,
            n_actions=FIRST_TARGET + grid.enemies,
            obs_size=3 * units,
            state_size=3 * units,
            episode_limit=grid.limit,
        )
        self.battles = battles
        self.repeatable = True  # a battle is a function of its seed and actions
        self.quick = True  # a step returns in milliseconds
        self.restarts = 0  # no process can fail
        self.provenance: Mapping[str, str] = {"grid-backend": "1.0"}  # for run.json

    def prepare(self) -> None:
        """Do nothing: the battles need nothing of the machine."""

    def close(self) -> None:
        """Do nothing: the battles hold no process and no file."""

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        """Start a new battle where `mask` [E] is True, from its entry of `seeds` [E]."""
        check_array("mask", mask, np.dtype(np.bool_), (self.battles,))
        check_array("seeds", seeds, np.dtype(np.uint64), (self.battles,))
        allies, side = self._grid.allies, self._grid.side
        for battle in np.flatnonzero(mask):
            rng = np.random.default_rng(seeds[battle])
            self._cells[battle, :, 0] = rng.integers(side, size=self._health.shape[1])
            self._cells[battle, :allies, 1] = 0  # the allies begin at one edge, the enemies at the other
            self._cells[battle, allies:, 1] = side - 1
        self._health[mask] = FULL_HEALTH
        self._steps[mask] = 0
        self._begun[mask] = self._on[mask] = True

    def observe(self) -> Observation:
        """Return what all battles show now, in new arrays."""
        allies, side = self._grid.allies, self._grid.side
        alive = self._health > 0
        health = (self._health / FULL_HEALTH)[:, None, :, None]
        offsets = (self._cells[:, None] - self._cells[:, :allies, None]) / side  # [E, N, U, 2]
        seen = np.concatenate([offsets, np.broadcast_to(health, (*offsets.shape[:3], 1))], axis=3)
        seen *= alive[:, None, :, None] & alive[:, :allies, None, None]  # the fallen see nothing and are not seen
        state = np.concatenate([self._cells / side, health[:, 0]], axis=2) * alive[:, :, None]
        return Observation(
            obs=seen.reshape(self.battles, allies, -1).astype(np.float32),
            available=self._available(),
            state=state.reshape(self.battles, -1).astype(np.float32),
        )

    def _available(self) -> NDArray[np.bool_]:
        """Return which actions each agent can take, [E, N, n_actions]."""
        allies, side = self._grid.allies, self._grid.side
        alive = self._health > 0
        own, enemies = self._cells[:, :allies], self._cells[:, allies:]
        to = own[:, :, None] + MOVES
        near = np.abs(own[:, :, None] - enemies[:, None]).max(axis=3) <= 1
        available = np.zeros((self.battles, allies, self.spec.n_actions), np.bool_)
        available[:, :, STOP] = True
        available[:, :, FIRST_MOVE:FIRST_TARGET] = ((to >= 0) & (to < side)).all(axis=3)
        available[:, :, FIRST_TARGET:] = near & alive[:, None, allies:]
        available &= alive[:, :allies, None]
        available[:, :, NO_OP] = ~alive[:, :allies] & self._begun[:, None]
        return available

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        """Play one step of the battles that are on with `actions` [E, N]. Raises ValueError for an unavailable one."""
        check_array("actions", actions, np.dtype(np.uint8), (self.battles, self._grid.allies))
        self._check_available(actions)
        reward = np.zeros(self.battles, np.float32)
        terminated, truncated, won, void = np.zeros((4, self.battles), np.bool_)
        for battle in np.flatnonzero(self._on):
            reward[battle] = self._play(self._cells[battle], self._health[battle], actions[battle])
            left = self._health[battle] > 0
            won[battle] = not left[self._grid.allies :].any()
            terminated[battle] = won[battle] or not left[: self._grid.allies].any()
        self._steps += self._on
        truncated = self._on & ~terminated & (self._steps == self._grid.limit)
        reward += 5 * won - 5 * (terminated & ~won)
        self._on &= ~(terminated | truncated)
        return StepResult(reward, terminated, truncated, won, void)

    def _check_available(self, actions: NDArray[np.uint8]) -> None:
        available = self._available()
        for battle in np.flatnonzero(self._on):
            for seat, action in enumerate(actions[battle]):
                if action >= self.spec.n_actions or not available[battle, seat, action]:
                    raise ValueError(f"battle {battle}, seat {seat}: action {action} is not available")

    def _play(self, cells: NDArray[np.int64], health: NDArray[np.int64], actions: NDArray[np.uint8]) -> float:
        """Play one step of one battle, of `cells` [U, 2] and `health` [U]; return its reward."""
        allies = self._grid.allies
        before = health.copy()
        for seat, action in enumerate(actions):
            if action >= FIRST_TARGET:
                target = allies + action - FIRST_TARGET
                health[target] = max(0, health[target] - 1)
            elif action >= FIRST_MOVE:
                cells[seat] += MOVES[action - FIRST_MOVE]
        for enemy in allies + np.flatnonzero(health[allies:]):
            living = np.flatnonzero(health[:allies])
            if not len(living):
                break
            away = cells[living] - cells[enemy]
            nearest = np.abs(away).max(axis=1).argmin()
            if np.abs(away[nearest]).max() <= 1:
                health[living[nearest]] -= 1
            else:
                cells[enemy] += np.sign(away[nearest])
        lost = before - health
        return float(lost[allies:].sum() - lost[:allies].sum()) - 0.1  # time costs, too
