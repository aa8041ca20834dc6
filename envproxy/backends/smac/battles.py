"""The backend: E games in lockstep, each with a worker of its own, started again when it fails."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import BackendFailedError, MapSpec, Observation, StepResult
from envproxy.backends.smac.frames import begin, follow, healing_kinds, kinds_of
from envproxy.backends.smac.game import Game, GameLostError, View
from envproxy.backends.smac.game_map import game_map
from envproxy.backends.smac.installation import Installation, find_installation
from envproxy.backends.smac.options import GameOptions
from envproxy.backends.smac.worker import FRAME, GAME_LIMIT
from envproxy.maps import (
    BattleMap,
    DrawnTeams,
    battle_map,
    first_target,
    map_spec,
    shows_own_pos,
    uses_unit_ranges,
)
from envproxy.rules import Rules, RulesError, refuse

log = logging.getLogger("envproxy")

_PATIENCE: Final = 3  # failed starts in a row, or battles that one slot has lost in a row, until we give up
_CUT_EVERY: Final = 0.1  # seconds; a game may be starting that is not in the table yet
_KILL_LIMIT: Final = 5.0  # seconds that a keeper has to end all and to say so
_SPARE_LOOPS: Final = 64  # of a reset: SMAC lets units disappear and appear
_OF_SMACV2: Final = (
    *("obs_own_pos", "use_unit_ranges", "min_attack_range", "conic_fov", "num_fov_actions", "prob_obs_enemy"),
    "action_mask",
)
_CORES: Final = len(os.sched_getaffinity(0))
_starts = threading.BoundedSemaphore(_CORES)  # of all arenas: a start keeps a core busy


class SmacBattles:
    """E battles of one map on StarCraft II. See `envproxy.backend.Backend` for what the methods promise.

    A battle whose game fails is truncated and void; the next reset of its slot starts another game.
    """

    def __init__(
        self, map_name: str, battles: int, rules: Rules, options: GameOptions, *, frames: bool = False
    ) -> None:
        """Start nothing. `frames`: have units' positions and health, for `frame`.

        Raises RulesError for rules that SMAC does not have, ValueError for less than one battle.
        """
        if battles < 1:
            raise ValueError(f"there must be at least one battle, not {battles}")
        self._spec = spec = map_spec(map_name, rules)
        self._rules, self._options = rules, options
        self._smac_options = smac_options(rules, battle_map(map_name))
        self._records_frames = frames
        self._installation: Installation | None = None
        self._games: list[Game | None] = [None] * battles
        self._loops = np.zeros(battles, np.int64)  # since each game was made
        self._memory = np.zeros(battles, np.int64)  # bytes
        self._on = np.zeros(battles, np.bool_)
        self._untouched = np.zeros(battles, np.bool_)  # reset, and not stepped since
        self._lost = np.zeros(battles, np.int64)  # battles of the slot in a row
        self._obs = np.zeros((battles, spec.n_agents, spec.obs_size), np.float32)
        self._available = np.zeros((battles, spec.n_agents, spec.n_actions), np.bool_)
        self._state = np.zeros((battles, spec.state_size), np.float32)
        self._map = one = battle_map(map_name)
        self._game_map = game_map(one)
        units = one.n_agents + one.n_enemies if frames else 0
        self._moments = [begin(np.zeros((units, len(FRAME)), np.float32), np.zeros(units, np.int16))] * battles
        self._heals = healing_kinds(one)
        self._first_target = first_target(rules)
        self._restarts = 0
        self._failed_starts = 0  # in a row
        self._no_start = ""  # why no game can be started; "" while it is tried
        self._playing = threading.Lock()  # held during a reset or a step
        self._closing = False

    @property
    def spec(self) -> MapSpec:
        """Sizes of the map; no game is asked for them."""
        return self._spec

    @property
    def battles(self) -> int:
        """E, the number of battles."""
        return len(self._games)

    @property
    def repeatable(self) -> bool:
        """False: SMAC gives a game its seed when it is made, and the game plays many battles."""
        return False

    @property
    def quick(self) -> bool:
        """False: games are other processes, and take a minute to start."""
        return False

    @property
    def restarts(self) -> int:
        """How often a game was started in the place of one that had failed."""
        return self._restarts

    @property
    def provenance(self) -> Mapping[str, str]:
        """Versions of game, SMAC and protocol, and the map file's hash; empty before `prepare`."""
        return self._installation.provenance if self._installation is not None else {}

    def prepare(self) -> None:
        """Look for SMAC, the game and the map. Raises BackendFailedError, with what to do."""
        installation = find_installation(self._options, self._spec.name, self._rules.game_version)
        installation.require()
        self._installation = installation

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        """Start a new battle where `mask` [E] is True. A seed matters to a battle that a new game begins with."""
        _check("mask", mask, np.dtype(np.bool_), (self.battles,))
        _check("seeds", seeds, np.dtype(np.uint64), (self.battles,))
        with self._turn():
            if self._installation is None:
                self.prepare()
            slots = np.flatnonzero(mask & ~self._untouched).tolist()
            if (worst := max(slots, key=self._lost.__getitem__, default=None)) is not None:
                self._check_patience(worst)
            self._next_battles(slots)
            self._start_games([slot for slot in slots if self._games[slot] is None], seeds)

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        """Play one environment step with `actions` [E, N]."""
        _check("actions", actions, np.dtype(np.uint8), (self.battles, self._spec.n_agents))
        self._check_available(actions)
        with self._turn():
            on = np.flatnonzero(self._on).tolist()
            asked = [slot for slot in on if self._ask(slot, actions[slot])]
            views = dict(self._hear(asked, self._options.step_timeout))
            result = StepResult(
                np.zeros(self.battles, np.float32), *(np.zeros(self.battles, np.bool_) for _ in range(4))
            )
            for slot in on:
                view = views.get(slot)
                if view is None:
                    result.truncated[slot] = result.void[slot] = True
                    self._on[slot] = False
                    continue
                result.reward[slot] = view.reward
                result.terminated[slot], result.truncated[slot] = view.terminated, view.truncated
                result.won[slot] = view.won
                if self._records_frames:
                    self._moments[slot] = follow(
                        self._moments[slot], actions[slot], view.frames, self._heals, self._first_target
                    )
                self._on[slot] = not (view.terminated or view.truncated)
                if not self._on[slot]:
                    self._lost[slot] = 0
            self._untouched[on] = False
            return result

    def observe(self) -> Observation:
        """Return the present observations, availability and state."""
        return Observation(self._obs.copy(), self._available.copy(), self._state.copy())

    def frame(self, battle: int) -> NDArray[np.void]:
        """Return the units FRAME [U] of battle 0..E-1 as the game showed them last; none without `frames`."""
        return self._moments[battle].frame.copy()

    def pids(self) -> list[int]:
        """Return the process ids of the games' keepers, each with its worker and its game below it."""
        return [game.pid for game in self._games if game is not None]

    def close(self) -> None:
        """Let the games quit, and kill those that do not; kill them at once if another thread plays."""
        self._closing = True
        while not self._playing.acquire(timeout=_CUT_EVERY):
            self._cut()
        try:
            games = [game for game in self._games if game is not None]
            for game in games:
                game.quit()
            deadline = time.monotonic() + self._options.close_timeout
            for game in games:
                game.end(deadline, _KILL_LIMIT)
            self._games = [None] * self.battles
        finally:
            self._playing.release()

    # --- inside -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with self._playing:
            self._check_open()
            yield

    def _cut(self) -> None:
        """Have all games killed, for a thread that waits for one of them."""
        for game in self._games:
            if game is not None:
                game.cut()

    def _check_open(self) -> None:
        if self._closing:
            raise BackendFailedError("the battles were closed")

    def _check_available(self, actions: NDArray[np.uint8]) -> None:
        """Raise ValueError for the first action [E, N] of a battle that is on which is not available."""
        n_actions = self._spec.n_actions
        known = np.minimum(actions, n_actions - 1)[..., None].astype(np.intp)
        legal = (actions < n_actions) & np.take_along_axis(self._available, known, -1)[..., 0]
        wrong = np.argwhere(self._on[:, None] & ~legal)
        if wrong.size:
            battle, seat = wrong[0]
            raise ValueError(
                f"battle {battle}, seat {seat}: action {actions[battle, seat]} is not available; nothing was played"
            )

    def _check_patience(self, slot: int) -> None:
        if self._lost[slot] >= _PATIENCE:
            lost = int(self._lost[slot])
            self._lost[:] = 0  # a phase that is tried again has its three in every slot
            raise BackendFailedError(
                f"the game of slot {slot} failed in {lost} battles in a row; the log says with which words"
            )

    def _ask(self, slot: int, actions: NDArray[np.uint8]) -> bool:
        """Send a slot's actions [N] to its game; return whether that went well."""
        game = self._games[slot]
        assert game is not None
        try:
            game.act(actions)
        except GameLostError as error:
            self._lose(slot, error)
            return False
        return True

    def _hear(self, slots: Sequence[int], limit: float) -> Iterator[tuple[int, View]]:
        """Wait for what the games of these slots show, at most `limit` seconds for all; leave out those that fail."""
        deadline = time.monotonic() + limit
        for slot in slots:
            game = self._games[slot]
            assert game is not None
            try:
                view = game.view(deadline)
            except GameLostError as error:
                self._lose(slot, error)
            else:
                self._show(slot, view)
                yield slot, view

    def _show(self, slot: int, view: View) -> None:
        self._obs[slot], self._available[slot], self._state[slot] = view.obs, view.available, view.state
        self._loops[slot], self._memory[slot] = view.loops, view.memory

    def _lose(self, slot: int, error: GameLostError) -> None:
        """Kill a game that has failed. Its environment is never used again."""
        words = self._drop(slot)
        self._check_open()
        self._lost[slot] += 1
        self._restarts += 1
        log.warning("%s, slot %d: the game failed: %s%s", self._spec.name, slot, error, _said(words))

    def _drop(self, slot: int) -> str:
        """Kill a slot's game at once; return its last words."""
        game, self._games[slot] = self._games[slot], None
        return game.end(0.0, _KILL_LIMIT) if game is not None else ""

    def _next_battles(self, slots: Iterable[int]) -> None:
        """Let games begin their next battle, those that have ended one and can play another; drop the others."""
        asked = []
        for slot in slots:
            game = self._games[slot]
            if game is None:
                continue
            if why := self._why_replace(slot):
                log.info("%s, slot %d: the game is replaced: %s", self._spec.name, slot, why)
                self._drop(slot)
                continue
            try:
                game.reset()
            except GameLostError as error:
                self._lose(slot, error)
            else:
                asked.append(slot)
        for slot, view in self._hear(asked, self._options.step_timeout):
            self._begin(slot, view)

    def _begin(self, slot: int, view: View) -> None:
        """Let the battle of a slot be on that its game has just begun."""
        if self._records_frames:
            self._moments[slot] = begin(view.frames, kinds_of(self._map, view.frames))
        self._on[slot] = self._untouched[slot] = True

    def _why_replace(self, slot: int) -> str:
        """Say why a game cannot play another battle; "" if it can."""
        if self._on[slot]:  # in SMAC a second reset changes later battles
            return "its battle was left unfinished"
        battle = self._spec.episode_limit * self._rules.step_mul + _SPARE_LOOPS
        if self._loops[slot] + battle >= GAME_LIMIT:
            return f"after {self._loops[slot]} loops; it would end by itself at {GAME_LIMIT}"
        if self._memory[slot] > self._options.memory * 2**20:
            return f"it takes {self._memory[slot] / 2**20:.0f} MiB; the limit is {self._options.memory}"
        return ""

    def _start_games(self, slots: Sequence[int], seeds: NDArray[np.uint64]) -> None:
        """Start a game in each of these slots, a few at once. Raises BackendFailedError."""
        self._failed_starts, self._no_start = 0, ""
        if not slots:
            return
        with ThreadPoolExecutor(min(len(slots), _CORES), "start") as pool:
            starts = [pool.submit(self._start, slot, int(seeds[slot])) for slot in slots]
            try:
                for start in as_completed(starts):
                    start.result()
            except BaseException:  # an interrupt, too: do not wait for the other starts
                self._no_start = self._no_start or "the start was given up"
                while wait(starts, timeout=_CUT_EVERY).not_done:
                    self._cut()
                raise

    def _start(self, slot: int, seed: int) -> None:
        """Start a game with its first battle, again if that fails. Raises BackendFailedError."""
        orders = {
            "package": self._game_map.package,
            "map": self._game_map.registered,
            "capabilities": self._game_map.capabilities,
            "enemy_hp": self._game_map.enemy_hp,
            "seed": seed & 0xFFFFFFFF,  # the game takes 32 bits
            "options": self._smac_options,
            "frames": self._records_frames,
        }
        while True:
            with self._core():
                began = time.monotonic()
                try:
                    game = self._games[slot] = Game(self._options.interpreter, orders, self._spec)
                    game.reset()
                    view = game.view(began + self._options.start_timeout)
                except GameLostError as error:
                    self._count_failed_start(slot, f"{error}{_said(self._drop(slot))}")
                    continue
                self._failed_starts = 0
                self._show(slot, view)
                self._begin(slot, view)
                log.info("%s, slot %d: a game started in %.1f s", self._spec.name, slot, time.monotonic() - began)
                return

    @contextlib.contextmanager
    def _core(self) -> Iterator[None]:
        """Have a core for a start, as soon as there is one. Raises BackendFailedError if no start is wanted by then."""
        while not _starts.acquire(timeout=_CUT_EVERY):  # another arena's starts may take minutes
            self._check_start()
        try:
            self._check_start()
            yield
        finally:
            _starts.release()

    def _check_start(self) -> None:
        self._check_open()
        if self._no_start:
            raise BackendFailedError(self._no_start)

    def _count_failed_start(self, slot: int, said: str) -> None:
        self._check_open()
        self._failed_starts += 1
        name, count = self._spec.name, self._failed_starts
        log.warning("%s, slot %d: a game did not start, %d in a row: %s", name, slot, count, said)
        if count >= _PATIENCE:
            self._no_start = f"StarCraft II did not start, {count} times in a row: {said}"


def smac_options(rules: Rules, one: BattleMap) -> dict[str, Any]:
    """Return the keyword arguments of the constructor of SMAC or SMACv2, by the map.

    Raises RulesError for what it does not have.
    """
    refuse(rules, ("weapons",), "StarCraft II plays with its own; only skirmish has a choice")
    options = dataclasses.asdict(rules)
    del options["weapons"]
    if isinstance(one.teams, DrawnTeams):
        refuse(rules, ("obs_instead_of_state",), f"SMACv2 does not have it, which plays {one.name}")
        options["obs_own_pos"] = shows_own_pos(one, rules)
        options["use_unit_ranges"] = uses_unit_ranges(one, rules)
    else:
        refuse(rules, _OF_SMACV2, f"SMAC has no such option, and {one.name} is a map of SMAC")
        for name in _OF_SMACV2:
            del options[name]
    options["game_version"] = rules.game_version or None
    if rules.move_amount.is_integer():  # SMAC indexes its grids by it
        options["move_amount"] = int(rules.move_amount)
    elif rules.obs_pathing_grid or rules.obs_terrain_height:
        raise RulesError(
            f"rules: move-amount: expected a whole number, as SMAC needs for its grids, found {rules.move_amount:g}"
        )
    return options


def _said(words: str) -> str:
    return f" (its last words: {words})" if words else ""


def _check(name: str, array: NDArray[np.generic], dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} must be {dtype} {list(shape)}, not {array.dtype} {list(array.shape)}")
