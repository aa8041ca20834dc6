"""What a seat and an arena say to each other, as plain values. `envproxy.wire` puts them on gRPC.

seat                     arena
Phase (a proposal)  ->
                    <-   Seated (the phase that is played), then the first Tick
actions [E]         ->
                    <-   Tick, ... , PhaseEnd
Phase (the next)    ->

With joint mixing, training steps are taken between the answer to a tick and the next tick. One goes like this, unless
the arena abandons it (MixAbandoned) because a seat lacks a battle or is gone:

                    <-   MixBatch (the battles to train on)
MixUtilities        ->                                             or MixHoldings, where the seat lacks one of them
                    <-   MixGradient
MixNorm             ->
                    <-   MixScale
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

MAX_UTILITY = 1e9  # of joint mixing: float32 can hold its square
ACTION_NO_OP = 0
ACTION_STOP = 1
REWARD_CREDITS = ("alive", "team")  # which rewards count as a seat's: those of steps it began alive, or all


class PhaseKind(IntEnum):
    """Collect explores and is stored; evaluate is greedy and is not."""

    COLLECT = 1
    EVALUATE = 2


class Ended(IntFlag):
    """How a battle ended on this tick; 0 while it is on."""

    TERMINATED = 1
    TRUNCATED = 2
    WON = 4
    VOID = 8  # the backend lost it: its last step is unknown, and the battle counts nowhere


@dataclass(frozen=True, order=True)
class Standing:
    """How far a round has come: phases ended, battles and environment steps collected in it, evaluations in the run."""

    index: int = 0
    battles: int = 0
    steps: int = 0
    evaluations: int = 0


@dataclass(frozen=True)
class MixOrder:
    """Joint mixing as a run wants it: the run's id, and those of its settings that the mixer needs."""

    run: str
    base: str
    batch_size: int
    buffer_size: int
    train_per_battle: float
    learning_rate: float
    gamma: float
    td_lambda: float
    target_update_every: int
    grad_clip: float


@dataclass(frozen=True)
class RewardOrder:
    """How a run counts what a seat has earned: its id, the battles of a reward buffer, and whose rewards they are."""

    run: str
    size: int
    credit: str


@dataclass(frozen=True)
class Earned:
    """What a seat has earned in its last battles, when a phase of a round was over."""

    order: RewardOrder
    seat: int
    round: int
    battles: int
    reward: float


@dataclass(frozen=True)
class Phase:
    """A stretch of play; no battle begins once `battles` have begun or `steps` have been played (0: unbounded).

    `mixing` says how a collect phase trains jointly; None where every seat learns alone. `rewards` says how to count
    what the proposing seat earns, and concerns no other; None where it is not needed. `seats` are those that the
    proposing seat expects to play with, itself or not; none means all of the map. `order` is the number of the
    server's order for the round, which is another where a round is played again; 0 is none.
    """

    seed: int
    round: int
    kind: PhaseKind
    battles: int
    steps: int
    standing: Standing
    mixing: MixOrder | None = None
    rewards: RewardOrder | None = None
    seats: frozenset[int] = frozenset()
    order: int = 0

    def of_order(self, other: Phase) -> bool:
        """Whether both are of the same order of the server's; never, where it has no number."""
        return self.order != 0 and (self.round, self.order) == (other.round, other.order)

    def common(self) -> Phase:
        """Return the phase without what concerns the proposing seat alone."""
        return dataclasses.replace(self, rewards=None, seats=frozenset())


@dataclass(frozen=True)
class Seated:
    """The phase that is played: what most proposed, or the one that was on, or had ended, when the seat came."""

    phase: Phase


@dataclass(frozen=True)
class Tick:
    """What one seat sees of E battles. Rows of battles that are not this seat's (id 0) are zero."""

    tick: int
    steps: int  # environment steps of this phase so far
    observations: NDArray[np.float32]  # [E, obs_size]
    available: NDArray[np.bool_]  # [E, n_actions]
    rewards: NDArray[np.float32]  # [E], the team's, for the step before
    ended: NDArray[np.uint8]  # [E], Ended
    battles: NDArray[np.uint64]  # [E], battle ids

    @property
    def counted(self) -> NDArray[np.bool_]:
        """[E], where a battle has ended that counts: it is not void."""
        return np.asarray((self.ended != 0) & (self.ended & Ended.VOID == 0))


@dataclass(frozen=True)
class PhaseEnd:
    """What a phase came to, over all its battles; `missed` counts those this seat did not play from the beginning.

    `earned` is the arena's own count; a seat hears of it what the env proxy makes known, `attested`.
    """

    standing: Standing
    battles: int
    steps: int
    won: int
    return_sum: float
    missed: int
    earned: Earned | None = None
    attested: str = ""


@dataclass(frozen=True)
class MixBatch:
    """Training step `step` is on, on these battles [B], the longest (T steps) first."""

    step: int
    battles: NDArray[np.uint64]


@dataclass(frozen=True)
class MixUtilities:
    """What a seat thinks of a batch: its utility of each action taken, its target utility of the best next one."""

    step: int
    chosen: NDArray[np.float32]  # [T, B]
    bootstrap: NDArray[np.float32]  # [T, B]


@dataclass(frozen=True)
class MixHoldings:
    """A seat lacks a battle of the batch; these [n] are all that it holds."""

    step: int
    battles: NDArray[np.uint64]


@dataclass(frozen=True)
class MixGradient:
    """d loss / d chosen utility of one seat."""

    step: int
    gradient: NDArray[np.float32]  # [T, B]


@dataclass(frozen=True)
class MixNorm:
    """The squared norm of the gradients in a seat's network."""

    step: int
    squared: float


@dataclass(frozen=True)
class MixScale:
    """The step is taken, with all gradients times `scale`; beside it what there is to report of the step."""

    step: int
    scale: float
    loss: float
    q_mean: float
    td_error_abs: float
    grad_norm: float


@dataclass(frozen=True)
class MixAbandoned:
    """No seat takes the step."""

    step: int


MixEvent = MixBatch | MixGradient | MixScale | MixAbandoned
MixAnswer = MixUtilities | MixHoldings | MixNorm
ArenaEvent = Seated | Tick | PhaseEnd | MixEvent


def awaits_answer(event: ArenaEvent) -> bool:
    """Whether the seat is to speak next; else another event follows unasked."""
    return not isinstance(event, Seated | MixScale | MixAbandoned)
