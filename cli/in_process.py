"""The in-process runtime: N agents and their arena in this very process, behind Flower's messages.

The agents play exactly the rounds they play as processes of their own (`client.play`); here the arena is called
directly, seat by seat, tick by tick, instead of over gRPC. With the same seed both give the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from flwr.app import Error, Message
from flwr.supercore.run import Run

from cli.defaults import Value
from client.device import DeviceError, pps_home
from client.flower import message_from_reply, request_from_message
from client.messages import DESCRIBE, TRAIN, WEIGHTS, Request
from client.play import Answer, Move, RoundReport, advance
from client.seat import Seat, SeatRefusedError
from envproxy.arena import Arena
from envproxy.backend import create_backend
from envproxy.protocol import Phase
from envproxy.service import describe
from server.app import train
from server.in_process import InProcessGrid
from server.run_directory import RunDirectory

_APP_ERROR = 0  # Flower's "unknown" error code; the reason tells


class Team:
    """All seats of one arena. Called with the messages of the server, it answers each."""

    def __init__(self, backend: str, map_name: str, battles: int, arena: str) -> None:
        """Raises UnknownNameError if there is no such backend or map."""
        self._arena = Arena(create_backend(backend, map_name, battles))
        self._name, self._backend = arena, backend
        self._seats = [Seat(seat, pps_home()) for seat in range(self._arena.spec.n_agents)]

    @property
    def n_agents(self) -> int:
        return len(self._seats)

    @property
    def progress(self) -> tuple[int, int]:
        """The round that is on and the environment steps collected in it."""
        return self._arena.round_and_steps

    def __call__(self, messages: Sequence[Message]) -> Iterable[Message]:
        """Answer every message; node i + 1 is seat i."""
        trains = [message for message in messages if message.metadata.message_type == TRAIN]
        others = [message for message in messages if message.metadata.message_type != TRAIN]
        replies = [_guarded(message, lambda m=message: self._answer(m)) for message in others]  # type: ignore[misc]
        return replies + (self._play(trains) if trains else [])

    def close(self) -> None:
        self._arena.close()

    def _answer(self, message: Message) -> Message:
        kind = message.metadata.message_type.split(".")[-1]
        request, seat = request_from_message(kind, message), self._seat_of(message)
        reply = seat.weights() if kind == WEIGHTS else self._meet(seat, request)
        return message_from_reply(reply, message)

    def _meet(self, seat: Seat, request: Request):  # type: ignore[no-untyped-def]
        return seat.meet(request, describe(self._name, self._backend, self._arena))

    def _play(self, messages: Sequence[Message]) -> list[Message]:
        """Play one round with all seats in lockstep."""
        requests = {m.metadata.dst_node_id - 1: request_from_message(TRAIN, m) for m in messages}
        rounds = {seat: self._seats[seat].begin(request) for seat, request in requests.items()}
        reports: dict[int, RoundReport] = {}

        def hear(seat: int, answer: Answer | RoundReport) -> None:
            if isinstance(answer, RoundReport):
                reports[seat] = answer
                self._arena.leave(seat)
            elif isinstance(answer, Phase):
                self._arena.propose(seat, answer)
            elif isinstance(answer, Move):
                self._arena.act(seat, answer.tick, answer.actions)

        for seat, round_ in rounds.items():
            hear(seat, advance(round_, None))
        while len(reports) < len(rounds):
            self._arena.advance()
            for seat, round_ in rounds.items():
                while seat not in reports and (event := self._arena.next_event(seat)) is not None:
                    hear(seat, advance(round_, event))
        return [
            message_from_reply(
                self._seats[m.metadata.dst_node_id - 1].finish(
                    requests[m.metadata.dst_node_id - 1], reports[m.metadata.dst_node_id - 1]
                ),
                m,
            )
            for m in messages
        ]

    def _seat_of(self, message: Message) -> Seat:
        return self._seats[message.metadata.dst_node_id - 1]


def _guarded(message: Message, answer: Callable[[], Message]) -> Message:
    try:
        return answer()
    except (SeatRefusedError, DeviceError) as error:
        return Message(Error(_APP_ERROR, str(error)), reply_to=message)


def run_in_process(config: Mapping[str, Value], given: Mapping[str, Value], team: Team) -> RunDirectory:
    """Play a run to its end. Raises as `server.app.train` does."""
    run = Run.create_empty(1)
    run.override_config = dict(given)
    grid = InProcessGrid(team.n_agents, team, run)
    return train(grid, config, given)
