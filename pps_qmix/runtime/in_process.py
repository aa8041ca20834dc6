"""The in-process runtime: all agents of a run and their arenas in this very process, behind Flower's messages.

The agents play exactly the rounds they play as processes of their own (`client.play`); here the arena is called
directly, seat by seat, tick by tick, instead of over gRPC. With the same seed both give the same weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flwr.app import Error, Message

from client.flower import message_from_reply, request_from_message
from client.messages import Request
from client.play import RoundReport
from client.seat import Seat, SeatRefusedError
from envproxy.arena import Arena
from envproxy.backend import create_backend
from envproxy.hosting import describe
from envproxy.mixer_store import MIXERS
from envproxy.rules import SMAC_RULES, Rules
from learning.learner import Learner
from learning.shared import SharedLearners
from learning.stacked import TakeSteps
from operations.home import HomeError, pps_home
from operations.members import Teams
from pps_qmix.configuration import Value
from pps_qmix.runtime.lockstep import TeamRound, play_teams, team_round
from pps_qmix.runtime.side_by_side import Threads, take_one_by_one
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
        take: TakeSteps | None = None,
    ) -> None:
        """`battles` are of each team. `arena` is the name of the arena, or what those of several teams begin with.

        `centralised`: one learner for all seats, which learns from one after the other; otherwise up to `threads`
        seats learn at the same time, and it makes no difference to what they learn. Teams play one after the other; a
        team that has training steps to take waits for the other teams.
        `take` takes the training steps that seats take alone, as one (`learning.stacked`): it changes the last bits of
        what seats learn. None: each seat takes its own.

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
        at_once = 1 if centralised else min(threads, len(self._members))
        self._threads = Threads(at_once) if at_once > 1 else None
        self._take = take or (take_one_by_one if self._threads is None else self._threads.take)

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
        begun: list[_BegunRound] = []
        for team, trains in by_team.items():
            try:
                begun.append(self._begin(team, trains))
            except SeatRefusedError as error:  # the others cannot play without it: no clock runs here
                answers += [Message(Error(UNKNOWN_ERROR, str(error)), reply_to=message) for message in trains]
        reports = play_teams([each.round for each in begun], self._take)
        return answers + [reply for each, of_team in zip(begun, reports, strict=True) for reply in each.end(of_team)]

    def close(self) -> None:
        if self._threads is not None:
            self._threads.close()  # a seat that is learning still ends its training step
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

    def _begin(self, team: int, messages: Sequence[Message]) -> _BegunRound:
        """Begin a round with all seats of a team. Raises SeatRefusedError."""
        seats = [self._members[_number(message)] for message in messages]
        requests = [request_from_message(TRAIN, message) for message in messages]
        rounds = [seat.begin(request) for seat, request in zip(seats, requests, strict=True)]
        play = team_round(self._arenas[team], rounds, self._threads)
        return _BegunRound(seats, requests, messages, play)


@dataclass(frozen=True)
class _BegunRound:
    """A round of one team, and what its seats were told by the server."""

    seats: Sequence[Seat]
    requests: Sequence[Request]
    messages: Sequence[Message]
    round: TeamRound

    def end(self, reports: Sequence[RoundReport]) -> list[Message]:
        """Let the seats keep what they have learned; return their replies."""
        told = zip(self.seats, self.requests, self.messages, reports, strict=True)
        return [message_from_reply(seat.finish(request, report), message) for seat, request, message, report in told]


def _number(message: Message) -> int:
    """Return the number of the member that a message is for."""
    return message.metadata.dst_node_id - 1


def run_in_process(config: Mapping[str, Value], given: Mapping[str, Value], federation: Federation) -> RunDirectory:
    """Play a run to its end. Raises as `server.app.train` does."""
    grid = InProcessGrid(len(federation.teams.numbers), federation, make_run(1, given))
    return train(grid, config, given, "in-process")
