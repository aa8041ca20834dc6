"""Rounds of whole teams in this process: all seats of an arena tick by tick, and training steps taken as one."""

from __future__ import annotations

import functools
from collections.abc import Generator, Mapping, Sequence

from client.play import Answer, Move, Round, RoundReport, advance, resume
from envproxy.arena import Arena
from envproxy.protocol import ArenaEvent, MixAnswer, MixEvent, Phase
from learning.learner import TakenStep, TrainingStep
from learning.stacked import TakeSteps
from pps_qmix.runtime.side_by_side import Task, Threads, take_one_by_one

# One round of a team: yields the training steps that its seats ask for at one moment and is sent what became of them.
TeamRound = Generator[Sequence[TrainingStep], Sequence[TakenStep], list[RoundReport]]


def play_in_lockstep(arena: Arena, rounds: Sequence[Round], threads: Threads | None = None) -> list[RoundReport]:
    """Play one round for every seat of an arena, tick by tick, and return the seats' reports in seat order.

    With `threads` the seats learn at the same time, without one after the other: it makes no difference to what they
    learn.
    """
    take = take_one_by_one if threads is None else threads.take
    (reports,) = play_teams([team_round(arena, rounds, threads)], take)
    return reports


def play_teams(teams: Sequence[TeamRound], take: TakeSteps) -> list[list[RoundReport]]:
    """Play one round of each team and return their reports, in the order of the teams.

    `take` takes the training steps when each team asks for some or has ended its round. A team that asks for none is
    played at once to its end.
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


def team_round(arena: Arena, rounds: Sequence[Round], threads: Threads | None = None) -> TeamRound:
    """Play one round for every seat of an arena, tick by tick; the training steps are taken elsewhere.

    With `threads` the seats do their parts of joint training steps at the same time. The arena hears them in seat
    order, not in the order in which they finish.
    """
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
            answers = _resume(rounds, events, threads)
            while steps := {seat: answer for seat, answer in answers.items() if isinstance(answer, TrainingStep)}:
                taken = yield list(steps.values())
                answers |= {seat: resume(rounds[seat], each) for seat, each in zip(steps, taken, strict=True)}
            for seat, answer in answers.items():
                assert not isinstance(answer, TrainingStep)
                hear(seat, answer)
    return [reports[seat] for seat in range(len(rounds))]


def _resume(
    rounds: Sequence[Round], events: Mapping[int, ArenaEvent], threads: Threads | None
) -> dict[int, Answer | TrainingStep | RoundReport]:
    """Send every seat its event; return what they answer, in the order of `events`."""
    if threads is None or not any(isinstance(event, MixEvent) for event in events.values()):
        # To answer any other event takes less time than to hand it to a thread.
        return {seat: resume(rounds[seat], event) for seat, event in events.items()}
    tasks = {seat: Task(functools.partial(resume, rounds[seat], event)) for seat, event in events.items()}
    threads.begin(list(tasks.values()))
    return {seat: task.result() for seat, task in tasks.items()}
