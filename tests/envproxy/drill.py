"""A backend whose battles are known beforehand, and somebody who drives an arena seat by seat."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.play import Answer, Move, Round, RoundReport
from envproxy.arena import Arena
from envproxy.backend import MapSpec, Observation, StepResult
from envproxy.phases import battle_seed
from envproxy.protocol import (
    ACTION_NO_OP,
    ACTION_STOP,
    ArenaEvent,
    MixOrder,
    Phase,
    PhaseEnd,
    PhaseKind,
    Seated,
    Standing,
    Tick,
)

SALUTE = 2  # the one action of a drill besides no-op and stop
LIMIT = 6  # steps of the longest drill


class Drill:
    """E battles that end when their seed says so.

    A battle of seed s lasts `length_of(s)` steps; one of LIMIT steps is cut, others are won if even. The team's
    reward is the sum of its actions, so it tells who did what. Seat 0 falls on its second step. A seat sees the
    seed's lowest bits, the steps, its own number, and the action it took last.
    """

    def __init__(self, battles: int, n_agents: int = 3, length_of: Callable[[int], int] | None = None) -> None:
        self.spec = MapSpec("drill", n_agents, 3, 4, 1, LIMIT)
        self.battles = battles
        self.closed = 0
        self._length_of = length_of or (lambda seed: 1 + seed % LIMIT)
        self._seeds = np.zeros(battles, np.uint64)
        self._lengths = np.zeros(battles, np.int64)
        self._steps = np.zeros(battles, np.int64)
        self._last = np.zeros((battles, n_agents), np.uint8)
        self._begun = np.zeros(battles, np.bool_)

        self.repeatable, self.quick, self.restarts = True, True, 0
        self.provenance: dict[str, str] = {}

    def prepare(self) -> None:
        """A drill needs nothing of this machine."""

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        self._seeds[mask] = seeds[mask]
        self._lengths[mask] = [self._length_of(int(seed)) for seed in seeds[mask]]
        self._steps[mask] = 0
        self._last[mask] = 0
        self._begun |= mask

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        on = self._steps < self._lengths
        available = self.observe().available
        for slot in np.flatnonzero(on):
            for seat, action in enumerate(actions[slot]):
                if not available[slot, seat, action]:
                    raise ValueError(f"battle {slot}, seat {seat}: action {action} is not available")
        self._steps += on
        self._last[on] = actions[on]
        over = on & (self._steps == self._lengths)
        cut = over & (self._lengths == LIMIT)
        reward = (actions.sum(1) * on).astype(np.float32)
        return StepResult(reward, over & ~cut, cut, over & ~cut & (self._lengths % 2 == 0), np.zeros_like(over))

    def observe(self) -> Observation:
        shape = (self.battles, self.spec.n_agents)
        obs = np.zeros((*shape, 4), np.float32)
        obs[:, :, 0] = (self._seeds % 997)[:, None]
        obs[:, :, 1] = self._steps[:, None]
        obs[:, :, 2] = np.arange(self.spec.n_agents)
        obs[:, :, 3] = self._last
        available = np.zeros((*shape, 3), np.bool_)
        available[:, :, [ACTION_STOP, SALUTE]] = True
        available[self._steps >= 1, 0] = [True, False, False]
        available[~self._begun] = False
        obs[~self._begun] = 0
        return Observation(obs, available, self._steps[:, None].astype(np.float32))

    def close(self) -> None:
        self.closed += 1


class Parade(Drill):
    """A drill whose state is what all seats see, in numbers between 0 and 1."""

    def __init__(self, battles: int, n_agents: int = 3) -> None:
        super().__init__(battles, n_agents)
        self.spec = dataclasses.replace(self.spec, name="parade", state_size=4 * n_agents)

    def observe(self) -> Observation:
        seen = super().observe()
        obs = (seen.obs / np.array([997, LIMIT, 3, SALUTE], np.float32)).astype(np.float32)
        return Observation(obs, seen.available, obs.reshape(self.battles, -1))


def mix_order(**changes: Any) -> MixOrder:
    """An order of joint mixing with small numbers."""
    small: dict[str, Any] = {
        "run": "id", "base": "vdn", "batch_size": 2, "buffer_size": 8, "train_per_battle": 1.0, "learning_rate": 1e-2,
        "gamma": 0.9, "td_lambda": 0.0, "target_update_every": 3, "grad_clip": 10.0,
    }  # fmt: skip
    return MixOrder(**{**small, **changes})


def lengths(phase: Phase, *each: int) -> Callable[[int], int]:
    """Return what makes the battles of a phase last 1st, 2nd, ... steps."""
    known = {battle_seed(phase, number): length for number, length in enumerate(each)}
    return known.__getitem__


def collect(
    battles: int = 0, steps: int = 0, round_: int = 1, standing: Standing | None = None, seats: Iterable[int] = ()
) -> Phase:
    return Phase(7, round_, PhaseKind.COLLECT, battles, steps, standing or Standing(), seats=frozenset(seats))


def evaluate(battles: int = 0, steps: int = 0, round_: int = 1, standing: Standing | None = None) -> Phase:
    return Phase(7, round_, PhaseKind.EVALUATE, battles, steps, standing or Standing())


def eager(tick: Tick, seat: int = 0) -> NDArray[np.uint8]:
    """In every battle, the available action with the highest number; 0 where there is none."""
    last = tick.available.shape[1] - 1
    highest: NDArray[np.int64] = last - tick.available[:, ::-1].argmax(1)
    return np.where(tick.available.any(1), highest, ACTION_NO_OP).astype(np.uint8)


def drawn(tick: Tick, seat: int) -> NDArray[np.uint8]:
    """In every battle an available action, drawn from the tick's and the seat's number."""
    rng = np.random.default_rng([tick.tick, seat])
    actions: NDArray[np.int64] = (rng.random(tick.available.shape) * tick.available).argmax(1)
    return actions.astype(np.uint8)


class Driver:
    """Drives an arena in this thread. `heard` is what each seat was told."""

    def __init__(self, arena: Arena, choose: Callable[[Tick, int], NDArray[np.uint8]] = eager) -> None:
        self.arena = arena
        self.heard: list[list[ArenaEvent]] = [[] for _ in range(arena.spec.n_agents)]
        self._choose = choose

    @property
    def seats(self) -> range:
        return range(self.arena.spec.n_agents)

    def gather(self, phase: Phase, seats: Iterable[int] | None = None) -> None:
        """Let seats propose a phase; if the arena then waits for nobody, it begins."""
        for seat in self.seats if seats is None else seats:
            self.arena.propose(seat, phase)
        self.go_on()

    def go_on(self) -> None:
        """Advance while nobody is waited for, and hear what there is to hear."""
        while self.arena.ready:
            self.arena.advance()
        for seat in self.seats:
            while (event := self.arena.next_event(seat)) is not None:
                self.heard[seat].append(event)

    def last(self, seat: int) -> ArenaEvent:
        return self.heard[seat][-1]

    def last_tick(self, seat: int) -> Tick:
        """The last event, which is a tick."""
        tick = self.last(seat)
        assert isinstance(tick, Tick)
        return tick

    def last_end(self, seat: int) -> PhaseEnd:
        """The last event, which is the end of a phase."""
        end = self.last(seat)
        assert isinstance(end, PhaseEnd)
        return end

    def answer(self, *seats: int) -> None:
        """Let these seats, or all, answer the last tick they heard; then go on."""
        for seat in seats or self.seats:
            tick = self.last_tick(seat)
            self.arena.act(seat, tick.tick, self._choose(tick, seat))
        self.go_on()

    def play_out(self, *seats: int) -> PhaseEnd:
        """Let these seats, or all, play to the end of the phase, which they all must hear."""
        seats = seats or tuple(self.seats)
        while isinstance(self.last(seats[0]), Tick):
            self.answer(*seats)
        ends = [self.last_end(seat) for seat in seats]
        return ends[0]

    def ticks(self, seat: int) -> list[Tick]:
        return [event for event in self.heard[seat] if isinstance(event, Tick)]

    def ids(self, seat: int) -> list[list[int]]:
        """The battle ids of every tick that a seat heard."""
        return [[int(i) for i in tick.battles] for tick in self.ticks(seat)]


def legal_round(battles: int) -> Round:
    """One collect phase, played with legal actions and again from its start when it is lost."""
    report = RoundReport(Standing())
    answer: Answer = collect(battles=battles)
    while True:
        event = yield answer
        if isinstance(event, PhaseEnd):
            report.standing = event.standing
            return report
        if isinstance(event, Tick):
            answer = Move(event.tick, eager(event))
        elif isinstance(event, Seated):
            answer = None
        else:
            report.missed += 1  # times it was lost
            answer = collect(battles=battles, standing=Standing(index=report.missed))
