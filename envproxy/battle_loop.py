"""The battle loop of one phase: battles begin in free slots, are stepped together, and every seat is sent its ticks.

The loop has no clock. It yields the backend's work to its driver and is sent what the work returned.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import Backend, Observation, StepResult
from envproxy.counters import BattleCounters
from envproxy.joint_training import JointTraining
from envproxy.ledger import Ledger
from envproxy.phases import MAX_PHASE_BATTLES, battle_id, battle_seed
from envproxy.protocol import ACTION_NO_OP, ACTION_STOP, Ended, Phase, PhaseKind, Standing, Tick
from envproxy.seats import Seat, SeatError, present

Work: TypeAlias = Callable[[], Any]  # what the backend has to do before a turn can continue
Turn: TypeAlias = Generator[Work, Any, None]  # is sent what its work returned


@dataclass
class PhaseTotals:
    """What a phase has come to. Battles that the backend lost are in `begun` and `void` alone."""

    phase: Phase
    tick: int = 0
    steps: int = 0
    begun: int = 0
    void: int = 0
    battles: int = 0
    won: int = 0
    return_sum: float = 0.0

    def standing(self) -> Standing:
        """Return the standing of the round after this phase."""
        before, collected = self.phase.standing, self.phase.kind is PhaseKind.COLLECT
        return dataclasses.replace(
            before,
            index=before.index + 1,
            battles=before.battles + (self.battles if collected else 0),
            steps=before.steps + (self.steps if collected else 0),
            evaluations=before.evaluations + (not collected),
        )


class BattleLoop:
    """E battles at a time of one phase that N seats play."""

    def __init__(
        self,
        phase: Phase,
        backend: Backend,
        seats: Sequence[Seat],
        ledger: Ledger,
        training: JointTraining,
        played: BattleCounters,
    ) -> None:
        """`ledger`, `training` and `played` see what is played; they outlive the loop."""
        spec, battles = backend.spec, backend.battles
        self.phase = phase
        self.totals = PhaseTotals(phase)
        self.over = False  # ended, or given up
        self.missed = [0] * len(seats)  # battles that each seat has not played from beginning to end
        self._backend = backend
        self._battles = battles
        self._seats = seats
        self._ledger = ledger
        self._training = training
        self._played = played
        self._take_part = np.zeros((battles, len(seats)), np.bool_)  # which seat plays which battle
        self._acted = np.zeros(len(seats), np.bool_)  # the seats that have said what they do on this tick
        self._actions = np.zeros((battles, len(seats)), np.uint8)  # of the seats that have acted
        self._available = np.zeros((battles, len(seats), spec.n_actions), np.bool_)
        self._on = np.zeros(battles, np.bool_)
        # of the battles that are on, or ended on this tick:
        self._ids = np.zeros(battles, np.uint64)
        self._steps = np.zeros(battles, np.int64)
        self._returns = np.zeros(battles, np.float64)
        self._none = np.zeros(battles, np.bool_)
        self._n_actions = spec.n_actions
        self._slots = np.arange(battles)
        self._offsets = range(0, battles * spec.n_actions, spec.n_actions)

    @property
    def battles_on(self) -> int:
        """How many battles are on."""
        return int(np.count_nonzero(self._on))

    def begin(self) -> Turn:
        """Begin the first battles."""
        nothing = self._none
        yield from self._deal(StepResult(np.zeros(self._battles, np.float32), nothing, nothing, nothing, nothing))

    def step(self) -> Turn:
        """Play one tick."""
        result: StepResult = yield functools.partial(self._backend.step, self._joint_actions())
        if self.over:
            return
        if np.count_nonzero(self._on) < self._battles:
            # The backend may still have battles on of a phase that was given up.
            result = StepResult(result.reward * self._on, *(flags & self._on for flags in result[1:]))
        self._count_step(result)
        self._ledger.see(result.reward, self._available)
        yield from self._deal(result)

    def act(self, seat: int, actions: NDArray[np.uint8]) -> None:
        """Take down what `seat` does, `actions` [E], on this tick. Raises SeatError for an unavailable action."""
        if (slot := self._first_illegal(seat, actions)) is not None:
            available = ", ".join(map(str, np.flatnonzero(self._available[slot, seat])))
            raise SeatError(
                f"action {actions[slot]} is not available in slot {slot} "
                f"(battle {self._ids[slot]}, tick {self.totals.tick}); available: {available}"
            )
        self._actions[:, seat] = actions
        self._acted[seat] = True

    def pause(self, seat: int) -> None:
        """Let `seat` take no further part in the battles that are on."""
        self.missed[seat] += int((self._on & self._take_part[:, seat]).sum())
        self._take_part[:, seat] = False
        self._acted[seat] = False

    # --- inside -----------------------------------------------------------------------------------------------

    def _first_illegal(self, seat: int, actions: NDArray[np.uint8]) -> int | None:
        """Return the first slot of this seat's battles whose action in `actions` [E] is not available."""
        chosen, n_actions = actions.tobytes(), self._n_actions
        if max(chosen) < n_actions:  # over bytes, for E is small: numpy takes three times as long
            available = self._available[:, seat].tobytes()
            if 0 not in map(available.__getitem__, map(operator.add, self._offsets, chosen)):
                return None
        known = np.minimum(actions, n_actions - 1)
        legal = self._available[self._slots, seat, known] & (known == actions)
        wrong = np.flatnonzero(self._on & self._take_part[:, seat] & ~legal)
        return int(wrong[0]) if len(wrong) else None

    def _count_step(self, result: StepResult) -> None:
        """Count a step of the battles that are on, and take battles that are void now out of the totals."""
        totals = self.totals
        self._steps += self._on
        self._returns += result.reward
        totals.steps += int(np.count_nonzero(self._on))
        totals.return_sum += float(result.reward.sum(dtype=np.float64))
        if void := int(np.count_nonzero(result.void)):
            totals.steps -= int(self._steps[result.void].sum())
            totals.return_sum -= float(self._returns[result.void].sum())
            totals.void += void

    def _joint_actions(self) -> NDArray[np.uint8]:
        """[E, N]: what the seats answered; a seat without an answer stops, or does nothing if its unit is dead."""
        acted = self._on[:, None] & self._take_part & self._acted
        if np.count_nonzero(acted) == acted.size:
            return self._actions.copy()
        held = np.where(self._available[:, :, ACTION_STOP], ACTION_STOP, ACTION_NO_OP)
        return np.where(acted, self._actions, held).astype(np.uint8)

    def _deal(self, result: StepResult) -> Turn:
        """Begin battles in the free slots, then tell every seat what it sees; without a battle, the phase is over."""
        ended = self._on & (result.terminated | result.truncated)
        if np.count_nonzero(ended):
            counted = ended & ~result.void
            self._count_ended(result, counted)
        else:
            counted = ended = self._none
        fresh, seeds = self._begin_battles()
        shown = self._on | fresh
        self._on = (self._on & ~ended) | fresh
        if not np.count_nonzero(shown):
            self.over = True
            return
        observation = yield functools.partial(self._observe, fresh, seeds)
        if self.over:
            return
        totals = self.totals
        totals.tick += 1
        self._played.ticks += 1
        self._available = observation.available
        if self.phase.mixing is not None:
            self._training.see(observation.state, result.reward, fresh, shown)
            for slot in np.flatnonzero(counted):
                terminated = bool(result.terminated[slot])
                self._training.ended(int(slot), int(self._ids[slot]), terminated, self._take_part[slot])
        begun = int(np.count_nonzero(fresh))
        here = [seat.playing and not seat.silent for seat in self._seats]
        if begun:
            self._take_part |= fresh[:, None] & np.array(here)
        tick = Tick(
            totals.tick,
            totals.steps,
            observation.obs,
            observation.available,
            result.reward,
            _flags(result, ended),
            self._ids.copy(),
        )
        for i, seat in enumerate(self._seats):
            if here[i]:
                seat.answered, self._acted[i] = False, False
                seat.events.append(_seen_by(i, tick, shown & self._take_part[:, i]))
            else:
                self.missed[i] += begun

    def _begin_battles(self) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Let battles begin in the free slots; return those [E] and the seeds [E]."""
        fresh, seeds = self._none, np.zeros(self._battles, np.uint64)
        if np.count_nonzero(self._on) < self._battles:
            totals, fresh = self.totals, self._free_slots()
            for slot in np.flatnonzero(fresh):
                seeds[slot] = battle_seed(self.phase, totals.begun)
                self._ids[slot] = battle_id(self.phase, totals.begun)
                totals.begun += 1
            self._ledger.begin(fresh)
            self._steps[fresh], self._returns[fresh] = 0, 0.0
        return fresh, seeds

    def _free_slots(self) -> NDArray[np.bool_]:
        """[E]: the slots, lowest first, in which the phase's bounds let a battle begin."""
        phase, totals, free = self.phase, self.totals, ~self._on
        if phase.steps and totals.steps >= phase.steps:
            free[:] = False
        else:
            bound = min((phase.battles or MAX_PHASE_BATTLES) + totals.void, MAX_PHASE_BATTLES)
            free[np.flatnonzero(free)[bound - totals.begun :]] = False
        return free

    def _observe(self, fresh: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> Observation:
        """Begin the `fresh` [E] battles and observe them all: a turn's work, done without the driver's lock."""
        if np.count_nonzero(fresh):
            self._backend.reset(fresh, seeds)
        return self._backend.observe()

    def _count_ended(self, result: StepResult, counted: NDArray[np.bool_]) -> None:
        """Count the battles that have ended on this tick, `counted` [E], and those that the backend has lost."""
        if self.phase.kind is PhaseKind.COLLECT:
            for i in present(self._seats):
                self._ledger.end(i, counted & self._take_part[:, i])
        battles, won = int(counted.sum()), int((counted & result.won).sum())
        self.totals.battles += battles
        self.totals.won += won
        lost = int((counted & result.terminated & ~result.won).sum())
        self._played.add(won, lost, battles - won - lost, int(result.void.sum()))


def _flags(result: StepResult, ended: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """[E]: how the battles that have `ended` [E] did, as `Ended`."""
    if not np.count_nonzero(ended):
        return np.zeros(len(ended), np.uint8)
    flags = (
        result.terminated * np.uint8(Ended.TERMINATED)
        + result.truncated * np.uint8(Ended.TRUNCATED)
        + result.won * np.uint8(Ended.WON)
        + result.void * np.uint8(Ended.VOID)
    )
    return flags.astype(np.uint8) * ended


def _seen_by(seat: int, tick: Tick, mine: NDArray[np.bool_]) -> Tick:
    """Return what one seat sees of a tick that has the observations and actions of all [E, N, ...]; `mine` is [E]."""
    observations, available = tick.observations[:, seat], tick.available[:, seat]
    rewards, ended, battles = tick.rewards, tick.ended, tick.battles
    if np.count_nonzero(mine) < len(mine):
        observations, available = observations * mine[:, None], available & mine[:, None]
        rewards, ended, battles = rewards * mine, ended * mine, battles * mine
    return Tick(tick.tick, tick.steps, observations, available, rewards, ended, battles)
