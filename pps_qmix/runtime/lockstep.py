"""Rounds of whole teams in this process: all seats of an arena tick by tick, and training steps taken as one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future

from client.play import Answer, Move, Round, RoundReport, advance, resume
from envproxy.arena import Arena
from envproxy.protocol import ArenaEvent, MixAnswer, MixEvent, Phase, Tick
from learning.learner import TakenStep, TrainingStep
from learning.stacked import TakeSteps, take_together

# One round of a team: yields the training steps that its seats ask for at one moment and is sent what became of them.
TeamRound = Generator[Sequence[TrainingStep], Sequence[TakenStep], list[RoundReport]]


def play_in_lockstep(arena: Arena, rounds: Sequence[Round], pool: Executor | None = None) -> list[RoundReport]:
    """Play one round for every seat of an arena, tick by tick, and return the seats' reports in seat order.

    Each seat takes its training steps by itself. With a `pool` the seats learn at the same time. The arena hears them
    in seat order, not in the order in which they finish.
    """
    (reports,) = play_teams([team_round(arena, rounds, pool)])
    return reports


def play_teams(teams: Sequence[TeamRound], take: TakeSteps = take_together) -> list[list[RoundReport]]:
    """Play one round of each team and return their reports, in the order of the teams.

    `take` takes the training steps as one when each team asks for some or has ended its round. A team that asks for
    none is played at once to its end.
    """
    reports: dict[int, list[RoundReport]] = {}
    taken: dict[int, Sequence[TakenStep] | None] = dict.fromkeys(range(len(teams)))  # None: begin
    while taken:
        asked: dict[int, Sequence[TrainingStep]] = {}
        for number, of_team in taken.items():
            try:
                asked[number] = next(teams[number]) if of_team is None else teams[number].send(of_team)
            except StopIteration as over:
                reports[number] = over.value
        every = iter(take([step for steps in asked.values() for step in steps]))
        taken = {number: [next(every) for _ in steps] for number, steps in asked.items()}
    return [reports[number] for number in range(len(teams))]


def team_round(
    arena: Arena, rounds: Sequence[Round], pool: Executor | None = None, *, stacked: bool = False
) -> TeamRound:
    """Play as `play_in_lockstep`; if `stacked`, yield the training steps instead of taking each by itself."""
    reports: dict[int, RoundReport] = {}

    def hear(seat: int, answer: Answer | RoundReport) -> None:
        if isinstance(answer, RoundReport):
            reports[seat] = answer
            arena.leave(seat)
        elif isinstance(answer, Phase):
            arena.propose(seat, answer)
        elif isinstance(answer, Move):
            arena.act(seat, answer.tick, answer.actions)
        elif isinstance(answer, MixAnswer):
            arena.mix(seat, answer)

    for seat, round_ in enumerate(rounds):
        hear(seat, advance(round_, None))
    while len(reports) < len(rounds):
        if not arena.ready:  # a seat has left the round before its end
            arena.hold_silent()
        arena.advance()
        while events := {
            seat: event
            for seat in range(len(rounds))
            if seat not in reports and (event := arena.next_event(seat)) is not None
        }:
            answers = (yield from _stacked_answers(rounds, events)) if stacked else _answers(rounds, events, pool)
            for seat, answer in answers:
                hear(seat, answer)
    return [reports[seat] for seat in range(len(rounds))]


def _answers(
    rounds: Sequence[Round], events: Mapping[int, ArenaEvent], pool: Executor | None
) -> Iterable[tuple[int, Answer | RoundReport]]:
    """Send every seat its event; yield the seats and what they answer, in the order of `events`."""
    asked = [rounds[seat] for seat in events]
    at_once = pool is not None and any(map(_teaches, events.values()))
    compute = functools.partial(_side_by_side, pool) if pool is not None and at_once else map
    return zip(events, compute(advance, asked, events.values()), strict=True)


def _side_by_side(
    pool: Executor,
    compute: Callable[[Round, ArenaEvent], Answer | RoundReport],
    rounds: Sequence[Round],
    events: Iterable[ArenaEvent],
) -> Iterable[Answer | RoundReport]:
    """As `map`, by the pool's threads and by this one: it takes, from the last on, what they have not begun."""
    asked = list(zip(rounds, events, strict=True))
    answers = [pool.submit(compute, *each) for each in asked]
    for place in reversed(range(len(asked))):
        if answers[place].cancel():
            answers[place] = Future()
            try:
                answers[place].set_result(compute(*asked[place]))
            except Exception as error:  # raised below, in its turn: one of an earlier seat comes first
                answers[place].set_exception(error)
    return (answer.result() for answer in answers)


def _stacked_answers(
    rounds: Sequence[Round], events: Mapping[int, ArenaEvent]
) -> Generator[Sequence[TrainingStep], Sequence[TakenStep], Iterable[tuple[int, Answer | RoundReport]]]:
    """As `_answers`, but yield the training steps that the seats ask for before they answer."""
    resumed = {seat: resume(rounds[seat], event) for seat, event in events.items()}
    while steps := {seat: answer for seat, answer in resumed.items() if isinstance(answer, TrainingStep)}:
        taken = yield list(steps.values())
        resumed |= {seat: resume(rounds[seat], each) for seat, each in zip(steps, taken, strict=True)}
    return [(seat, answer) for seat, answer in resumed.items() if not isinstance(answer, TrainingStep)]


def _teaches(event: ArenaEvent) -> bool:
    """Whether seats may learn from it; to answer any other takes less time than to hand it to a thread."""
    return isinstance(event, MixEvent) or (isinstance(event, Tick) and bool(event.ended.any()))
