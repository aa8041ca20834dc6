"""Three agents that mix jointly, each with a network of its own, and what they are told to play."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from client.agent import Agent
from client.device import DeviceDirectory
from client.plan import RoundOrder
from client.play import RoundReport, play_round
from envproxy.arena import Arena
from envproxy.protocol import ArenaEvent, MixBatch
from learning.learner import Learner
from learning.settings import Base, LearningSettings, SeatSpec
from learning.shared import SharedLearners
from pps_qmix.runtime.lockstep import play_in_lockstep
from tests.envproxy.drill import Parade, mix_order
from tests.learning.toy import settings

N, E, SEED = 3, 2, 5
RATE = 2e-3
CLIP = {"vdn": 18.0, "qmix": 40.0}  # amid the norms that occur
CLIP_SHARED = {"vdn": 29.0, "qmix": 70.0}  # and where one network is trained by all


def learning(base: Base, *, centralised: bool = False) -> LearningSettings:
    """Clips often but not always, copies targets six times in 20 steps; random actions, so that nothing feeds back."""
    return settings(
        base=base,
        mixing="joint",
        batch_size=4,
        buffer_size=100,
        grad_clip=(CLIP_SHARED if centralised else CLIP)[base],
        gamma=0.9,
        td_lambda=0.4,
        epsilon_end=1.0,
        learning_rate=RATE,
    )


def order(
    base: Base, battles: int = 23, *, round_: int = 1, rate: float = RATE, centralised: bool = False
) -> RoundOrder:
    """With batches of 4, a run's first 23 battles give 20 training steps."""
    told = learning(base, centralised=centralised)
    mixing = mix_order(
        base=base, batch_size=told.batch_size, buffer_size=told.buffer_size, learning_rate=rate,
        gamma=told.gamma, td_lambda=told.td_lambda, target_update_every=told.target_update_every,
        grad_clip=told.grad_clip,
    )  # fmt: skip
    return RoundOrder(SEED, round_, 0, 10**6, battles, 10**6, 1, rate, mixing)


class Told(Arena):
    """An arena that remembers which batches it named."""

    def __init__(self, mixers: Path | None = None) -> None:
        super().__init__(Parade(E, N), mixers)
        self.batches: dict[int, list[int]] = {}

    def next_event(self, seat: int) -> ArenaEvent | None:
        event = super().next_event(seat)
        if isinstance(event, MixBatch):
            self.batches[event.step] = event.battles.tolist()
        return event


def agents(home: Path, arena: Arena, base: Base, *, centralised: bool = False) -> list[Agent]:
    """Every one with a network of its own, or all with one."""
    make_learner = SharedLearners() if centralised else Learner
    told = learning(base, centralised=centralised)
    made = []
    for seat in range(N):
        directory = DeviceDirectory(home, "run", "id", seat)
        directory.make()
        sizes = SeatSpec(
            seat=seat,
            n_agents=N,
            obs_size=arena.spec.obs_size,
            n_actions=arena.spec.n_actions,
            episode_limit=arena.spec.episode_limit,
        )
        known: dict[str, Any] = {"seed": SEED + seat, "directory": directory}
        made.append(Agent(sizes, E, told, make_learner=make_learner, **known))
    return made


def play(arena: Arena, team: Sequence[Agent], told: RoundOrder) -> list[RoundReport]:
    return play_in_lockstep(arena, [play_round(agent, told) for agent in team])
