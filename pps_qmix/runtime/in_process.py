"""The in-process runtime: all agents of a run and their arenas in this very process, behind Flower's messages.

The agents play exactly the rounds they play as processes of their own (`client.play`); here the arena is called
directly, seat by seat, tick by tick, instead of over gRPC. With the same seed both give the same weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import torch
from flwr.app import Error, Message

from client.flower import message_from_reply, request_from_message
from client.play import Answer, Move, Round, RoundReport, advance
from client.seat import Seat, SeatRefusedError
from envproxy.arena import Arena
from envproxy.backend import create_backend
from envproxy.hosting import describe
from envproxy.mixer_store import MIXERS
from envproxy.protocol import ArenaEvent, MixAnswer, MixEvent, Phase, Tick
from envproxy.rules import SMAC_RULES, Rules
from learning.learner import Learner
from learning.shared import SharedLearners
from operations.home import HomeError, pps_home
from operations.members import Teams
from pps_qmix.configuration import Value
from server.app import train
from server.flower_internals import UNKNOWN_ERROR, make_run
from server.in_process_grid import InProcessGrid
from server.run_directory import RunDirectory
from strategies.messages import TRAIN, WEIGHTS


class Federation:
    """All members of one run, and the arena of each team. Called with the messages of the server, it answers each."""

    def __init__(
        self,
        backend: str,
        map_name: str,
        battles: int,
        arena: str,
        rules: Rules = SMAC_RULES,
        *,
        options: str = "",
        centralised: bool = False,
        threads: int = 1,
        teams: int = 1,
    ) -> None:
        """`battles` are of each team. `arena` is the name of the arena, or what those of several teams begin with.

        `centralised`: one learner for all seats, which learns from one after the other; otherwise up to `threads`
        seats learn at the same time, and it makes no difference to what they learn. Teams play one after the other.

        Raises UnknownNameError if there is no such backend or map, OptionsError if it does not know its `options`,
        BackendFailedError if it cannot play on this machine.
        """
        self._backend, self._rules = backend, rules
        self._arenas: list[Arena] = []
        for _ in range(teams):
            plays = create_backend(backend, map_name, battles, rules, options)
            plays.prepare()
            self._arenas.append(Arena(plays, pps_home() / MIXERS))
        self.teams = Teams(teams, self._arenas[0].spec.n_agents, self._arenas[0].spec.unit_types)
        self._names = self.teams.arenas(arena)
        make_learner = SharedLearners() if centralised else Learner
        self._members = [Seat(self.teams.member(number), pps_home(), make_learner) for number in self.teams.numbers]
        at_once = 1 if centralised else min(threads, self.teams.n_agents)
        # OpenMP counts threads for each of the threads that call it: every one of ours is told to compute alone.
        self._pool = ThreadPoolExecutor(at_once, "learning", torch.set_num_threads, (1,)) if at_once > 1 else None

    @property
    def progress(self) -> tuple[int, int]:
        """The round that is on and the environment steps collected in it, by a team on average."""
        found = [arena.round_and_steps for arena in self._arenas]
        newest = max(round_ for round_, _ in found)
        return newest, sum(steps for round_, steps in found if round_ == newest) // len(found)

    def __call__(self, messages: Sequence[Message]) -> Iterable[Message]:
        """Answer every message; node i + 1 is member i."""
        answers = []
        by_team: dict[int, list[Message]] = {}
        for message in messages:
            if message.metadata.message_type == TRAIN:
                by_team.setdefault(self.teams.member(_number(message)).team, []).append(message)
            else:
                answers.append(self._answer(message))
        return answers + [reply for team, trains in by_team.items() for reply in self._play(team, trains)]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()  # a seat that is learning still ends its training step
        for arena in self._arenas:
            arena.close()

    def _answer(self, message: Message) -> Message:
        kind = message.metadata.message_type.split(".")[-1]
        number = _number(message)
        request, seat, team = request_from_message(kind, message), self._members[number], self.teams.member(number).team
        if kind == WEIGHTS:
            return message_from_reply(seat.weights(), message)
        try:
            met = seat.meet(request, describe(self._names[team], self._backend, self._arenas[team], self._rules))
        except (SeatRefusedError, HomeError) as error:
            return Message(Error(UNKNOWN_ERROR, str(error)), reply_to=message)
        return message_from_reply(met, message)

    def _play(self, team: int, messages: Sequence[Message]) -> list[Message]:
        """Play one round with all seats of a team."""
        seats = [self._members[_number(message)] for message in messages]
        requests = [request_from_message(TRAIN, message) for message in messages]
        try:
            rounds = [seat.begin(request) for seat, request in zip(seats, requests, strict=True)]
        except SeatRefusedError as error:  # the others cannot play without it: no clock runs here
            return [Message(Error(UNKNOWN_ERROR, str(error)), reply_to=message) for message in messages]
        reports = play_in_lockstep(self._arenas[team], rounds, self._pool)
        return [
            message_from_reply(seat.finish(request, report), message)
            for seat, request, report, message in zip(seats, requests, reports, messages, strict=True)
        ]


def _number(message: Message) -> int:
    """Return the number of the member that a message is for."""
    return message.metadata.dst_node_id - 1


def play_in_lockstep(arena: Arena, rounds: Sequence[Round], pool: Executor | None = None) -> list[RoundReport]:
    """Play one round for every seat of an arena, tick by tick, and return the seats' reports in seat order.

    With a `pool` the seats learn at the same time. The arena hears them in seat order, not in the order in
    which they finish.
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
            for seat, answer in _answers(rounds, events, pool):
                hear(seat, answer)
    return [reports[seat] for seat in range(len(rounds))]


def _answers(
    rounds: Sequence[Round], events: Mapping[int, ArenaEvent], pool: Executor | None
) -> Iterator[tuple[int, Answer | RoundReport]]:
    """Send every seat its event; yield the seats and what they answer, in the order of `events`."""
    asked = [rounds[seat] for seat in events]
    at_once = pool is not None and any(map(_teaches, events.values()))
    compute = pool.map if pool is not None and at_once else map
    return zip(events, compute(advance, asked, events.values()), strict=True)


def _teaches(event: ArenaEvent) -> bool:
    """Whether seats may learn from it; to answer any other takes less time than to hand it to a thread."""
    return isinstance(event, MixEvent) or (isinstance(event, Tick) and bool(event.ended.any()))


def run_in_process(config: Mapping[str, Value], given: Mapping[str, Value], federation: Federation) -> RunDirectory:
    """Play a run to its end. Raises as `server.app.train` does."""
    grid = InProcessGrid(len(federation.teams.numbers), federation, make_run(1, given))
    return train(grid, config, given, "in-process")
