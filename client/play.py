"""One round of one seat, without any transport: a generator that is sent the arena's events and yields answers.

Its driver (the seat session over gRPC, or the in-process runtime) sends a proposal or a move to the arena and
sends back what the arena says. It also takes the training steps of the round, each by itself or those of several seats
as one. So both runtimes play, learn and count in the same code.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from client.agent import Agent
from client.merge import DelayedMerge
from client.plan import RoundOrder, first_standing, next_phase
from envproxy.protocol import (
    MAX_UTILITY,
    ArenaEvent,
    MixAbandoned,
    MixAnswer,
    MixEvent,
    MixNorm,
    MixScale,
    MixUtilities,
    Phase,
    PhaseEnd,
    PhaseKind,
    Seated,
    Standing,
)
from learning.actor import Actor
from learning.learner import TakenStep, TrainingStep
from learning.metrics import TrainMetrics


class StrangePhaseError(Exception):
    """The arena plays what the server has not ordered; the message says what."""


class _DivergedError(Exception):
    """What this seat has to say to a joint training step is not finite: no training can follow."""


@dataclass(frozen=True)
class Move:
    """The answer to a tick: actions [E]."""

    tick: int
    actions: NDArray[np.uint8]


@dataclass(frozen=True)
class Lost:
    """The arena is gone (the proxy restarted, the network broke) and has come back; it knows nothing of this seat."""


@dataclass(frozen=True)
class Evaluation:
    """A greedy phase: at `steps` environment steps of the run, the team won `won` of `battles`."""

    steps: int
    battles: int
    won: int
    return_mean: float
    length_mean: float


@dataclass
class RoundReport:
    """What one seat makes known of a round. Times in seconds."""

    standing: Standing
    battles: int = 0  # collected by this seat
    missed: int = 0  # collected by the others without it
    training_steps: int = 0
    evaluations: list[Evaluation] = field(default_factory=list)
    train_metrics: list[TrainMetrics] = field(default_factory=list)
    return_sum: float = 0.0  # of all battles of the round's collect phases
    won: int = 0
    attested: str = ""  # what the env proxy says this seat has earned
    epsilon: float = 0.0
    waiting: float = 0.0  # for the battle: the arena, the other seats, the network
    acting: float = 0.0
    learning: float = 0.0


Answer = Phase | Move | MixAnswer | None  # None: nothing to say, the arena speaks again
Round = Generator[Answer | TrainingStep, ArenaEvent | Lost | TakenStep, RoundReport]


def advance(round_: Round, event: ArenaEvent | Lost | None) -> Answer | RoundReport:
    """Send an event (None: begin); return the seat's answer, or the report when the round is over.

    The training steps that the seat asks for before it answers are taken here, each by itself.
    """
    answer = resume(round_, event)
    while isinstance(answer, TrainingStep):
        answer = resume(round_, answer.take())
    return answer


def resume(round_: Round, event: ArenaEvent | Lost | TakenStep | None) -> Answer | TrainingStep | RoundReport:
    """As `advance`, but return a training step that the seat asks for; it is to be sent what became of it."""
    try:
        return next(round_) if event is None else round_.send(event)
    except StopIteration as over:
        report: RoundReport = over.value
        return report


def play_round(agent: Agent, order: RoundOrder, merge: DelayedMerge | None = None) -> Round:
    """Play a round to its end: collect, learn as battles end, evaluate when it is due. Raises StrangePhaseError.

    With a `merge` the aggregate of the round before is merged on the way; None: the agent has adopted it.
    A seat whose part of joint mixing is not finite leaves the round there: the figures of its report say so.
    """
    agent.learner.set_learning_rate(order.learning_rate)
    report = RoundReport(first_standing(order))
    ordered = functools.partial(next_phase, order)
    try:
        while (phase := ordered(report.standing)) is not None:
            yield from _play_phase(agent, agent.actor, order.steps_before, phase, ordered, report, merge)
        if merge is not None:
            merge.finish()
    except _DivergedError:
        report.train_metrics.append(TrainMetrics(math.nan, math.nan, math.nan, math.nan))
    return report


def play_evaluation(actor: Actor, phase: Phase, steps: int) -> Round:
    """Play one evaluate phase and nothing else, with the actor of an agent trained for `steps` environment steps."""
    report = RoundReport(phase.standing)
    yield from _play_phase(None, actor, steps, phase, lambda _: phase, report)
    return report


def _play_phase(
    agent: Agent | None,
    actor: Actor,
    steps_before: int,
    phase: Phase,
    ordered: Callable[[Standing], Phase | None],
    report: RoundReport,
    merge: DelayedMerge | None = None,
) -> Generator[Answer | TrainingStep, ArenaEvent | Lost | TakenStep, None]:
    """Propose `phase`, play what the arena says is played, and bring the report up to date.

    `ordered` is what the server has ordered to be played from a standing. Raises StrangePhaseError if it is not that.
    `actor` plays evaluate phases, `agent` all others; it is None where only evaluations are ordered.
    """
    answer: Answer = phase
    steps = battles = 0
    ids = np.zeros(0, np.uint64)  # of the battles of an evaluation, whose beginnings nothing else sees
    while True:
        asked = time.perf_counter()
        event = yield answer
        assert not isinstance(event, TakenStep)
        now = time.perf_counter()
        report.waiting += now - asked
        if isinstance(event, Seated):
            _check_ordered(event.phase, ordered(event.phase.standing))
            phase, answer = event.phase, None
            if agent is not None:
                agent.forget_battles()
        elif isinstance(event, PhaseEnd):
            _close_phase(steps_before, phase, event, report)
            return
        elif isinstance(event, Lost):
            report.standing = _standing_after_loss(phase, battles, steps)
            return
        elif isinstance(event, MixEvent):
            assert agent is not None
            answer = _mix(agent, event, report)
            report.learning += time.perf_counter() - now
            if merge is not None:
                merge.trained(report.training_steps)
        else:
            steps = event.steps
            if phase.kind is PhaseKind.COLLECT:
                assert agent is not None
                ended = int(np.count_nonzero(event.counted))
                battles += ended
                report.battles += ended
                report.epsilon = agent.epsilon(steps_before + phase.standing.steps + steps)
                began = agent.collect(event)
                now += yield from _learn(agent, report, merge)  # its time is counted apart
                actions = agent.act(event, began, report.epsilon)
                agent.acted(actions)
            else:
                began = (event.battles != 0) & (event.battles != ids) if ids.size else event.battles != 0
                ids = event.battles
                if began.any():
                    actor.begin(began)
                actions = actor.act(event.observations, event.available)
            report.acting += time.perf_counter() - now
            answer = Move(event.tick, actions)


def _check_ordered(played: Phase, ordered: Phase | None) -> None:
    """Raise StrangePhaseError if a phase is not the one that was ordered; a round that is played again is the same."""
    if ordered is None or played.common() != dataclasses.replace(ordered.common(), order=played.order):
        expected = "nothing, for the round is over there" if ordered is None else ordered.common()
        raise StrangePhaseError(
            f"the arena plays what the server has not ordered: {played.common()}; expected {expected}"
        )


def _learn(
    agent: Agent, report: RoundReport, merge: DelayedMerge | None
) -> Generator[TrainingStep, ArenaEvent | Lost | TakenStep, float]:
    """Ask for the training steps that are owed; return the seconds until they were taken, whatever they were spent on.

    Those until the others of a step were ready count as waiting; those until an aggregate came do not count at all.
    """
    begun, waited = time.perf_counter(), 0.0
    while (step := agent.owed()) is not None:
        asked = time.perf_counter()
        taken = yield step
        assert isinstance(taken, TakenStep)
        others = time.perf_counter() - asked - taken.seconds
        report.waiting += others
        waited += others
        report.train_metrics.append(taken.metrics)
        report.training_steps += 1
        if merge is not None:
            waited += merge.trained(report.training_steps)
    took = time.perf_counter() - begun
    report.learning += took - waited
    return took


def _mix(agent: Agent, event: MixEvent, report: RoundReport) -> Answer:
    """Do this seat's part of a training step that all seats take together. Raises _DivergedError."""
    if isinstance(event, MixAbandoned):
        return None
    if isinstance(event, MixScale):
        report.train_metrics.append(agent.mixed(event))
        report.training_steps += 1
        return None
    answer = agent.mix(event)
    if isinstance(answer, MixNorm) and not math.isfinite(answer.squared):
        raise _DivergedError
    if isinstance(answer, MixUtilities):
        for utilities in (answer.chosen, answer.bootstrap):
            if not (np.abs(utilities) < MAX_UTILITY).all():  # the env proxy would refuse them
                raise _DivergedError
    return answer


def _close_phase(steps_before: int, phase: Phase, end: PhaseEnd, report: RoundReport) -> None:
    report.standing = end.standing
    report.attested = end.attested
    if phase.kind is PhaseKind.COLLECT:
        report.missed += end.missed
        report.return_sum += end.return_sum
        report.won += end.won
    elif end.battles:
        report.evaluations.append(
            Evaluation(
                steps=steps_before + end.standing.steps,
                battles=end.battles,
                won=end.won,
                return_mean=end.return_sum / end.battles,
                length_mean=end.steps / end.battles,
            )
        )


def _standing_after_loss(phase: Phase, battles: int, steps: int) -> Standing:
    """Where this seat thinks the round stands: what it saw of the lost phase counts, so it is not played again."""
    before = phase.standing
    if phase.kind is not PhaseKind.COLLECT:
        return dataclasses.replace(before, index=before.index + 1)
    return dataclasses.replace(
        before, index=before.index + 1, battles=before.battles + battles, steps=before.steps + steps
    )
