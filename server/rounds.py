"""The rounds of a run: weights out, one round of battles and training on every device, weights back.

Teams play at their own pace: an aggregation waits for the share `quorum` of the teams that are playing, and takes in
whole teams only. The others play on, and their replies are late when they come (`strategies.sharing`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from server.checkpoints import Checkpoint, TeamsProgress
from server.evaluations import Evaluations, evaluations_of
from server.exchange import Exchange, Order
from server.initial import NoWeightsError, most_agreed
from server.metrics import by_team, round_row, steps_played
from server.seats import NoTeamError, Seats, SeatsError
from server.settings import Settings
from server.strategy_failure import failures_of
from strategies.groups import groups_of
from strategies.messages import CONFIG, METRICS, WEIGHTS, Report
from strategies.sentences import by_seat
from strategies.sharing import Sharing

_FRUITLESS_LIMIT = 3  # rounds in a row without a usable reply
_GRACE = 120.0  # seconds that a run which has begun waits for all of its seats when it has lost them all


class RoundsError(Exception):
    """The run cannot continue; the message says why."""


class DivergedError(RoundsError):
    """The training of all agents has left the finite numbers, and would again; the message names the likely cause."""


@dataclass(frozen=True)
class RoundResult:
    """One finished round: the checkpoint it leaves and the rows it adds to the metrics."""

    checkpoint: Checkpoint
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class _Begun:
    """A round that a team's devices have begun before its messages are out, because the round before announced it."""

    order: int
    at: float  # when the replies of the round before were in; time.monotonic()


class Rounds:
    """Plays rounds of one run, one after the other, until its environment steps are done."""

    def __init__(
        self,
        grid: Grid,
        settings: Settings,
        strategy: Sharing,
        run_config: dict[str, bool | int | float | str],
        meanwhile: Callable[[], None] = lambda: None,
        met: Callable[[Mapping[str, str]], None] = lambda _: None,
        now: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        """`run_config` is what every device is told of the run: all settings, run-id, protocol and version.

        `met` is called with what the battles are played on (`Seats.provenance`) when the team has come together.
        `meanwhile` is called once a round, when its messages are out: what is done there delays no device.
        `now` is called with what the run is at, as `now_path` has it.
        """
        self._grid = grid
        self._settings = settings
        self._strategy = strategy
        self._failures = partial(failures_of, strategy, settings.strategy)
        self._config = run_config
        self._meanwhile = meanwhile
        self._met = met
        self._now = now
        self._seats = Seats(grid, run_config, lambda empty: now({"waiting-for": empty}))
        self._evaluations = Evaluations(settings.teams, settings.evaluate_every, settings.total_steps)
        self._steps = [0] * settings.teams  # environment steps of each team
        self._begun: dict[int, _Begun] = {}  # by team
        self._announced: dict[int, int] = {}  # team -> the number of the order that its messages have announced
        self._late: dict[str, Order] = {}  # what teams that play on have not answered, by message id
        self._held: list[Message] = []  # replies of their other members
        self._out: dict[int, int] = {}  # member -> the node at which it plays on

    def play(self, start: Checkpoint | None) -> Iterator[RoundResult]:
        """Play on from `start` (None: from the beginning), yielding each round as it ends.

        A run begins with all seats; one that has begun waits a while, then continues with those that are there.

        Raises SeatsError if the team does not come together (NoTeamError if it never has), RoundsError if no device
        brings a round to its end (DivergedError if all trained until their numbers were not finite), and
        StrategyFailedError if the strategy raises an exception or returns what cannot be used; UnknownUnitTypesError if
        agents share among their types, and these are not known.
        """
        try:
            self._seats.wait_for_all(self._settings.round_timeout, None if start is None else _GRACE)
        except SeatsError as error:
            raise (NoTeamError(str(error)) if start is None else error) from None
        self._met(self._seats.provenance)
        groups_of([], self._seats.teams, self._settings.share_among)  # before a round is played
        if start is None:
            initial = self._initial_weights()
            round_ = 0
        else:
            with self._failures():
                self._strategy.restore(start.agents, start.strategy)
            self._resume(start)
            initial = ArrayRecord({name: Array(tensor) for name, tensor in start.agents[min(start.agents)].items()})
            round_ = start.round
        fruitless = 0
        while min(self._steps) < self._settings.total_steps:
            result = self._play_one(round_ + 1, initial)
            if result is None:
                fruitless += 1
                if fruitless == _FRUITLESS_LIMIT:
                    raise RoundsError(self._fruitless(round_ + 1))
                continue
            fruitless = 0
            round_ = result.checkpoint.round
            yield result

    def _resume(self, start: Checkpoint) -> None:
        if start.teams is None:
            self._steps = [start.steps] * self._settings.teams
        else:
            self._steps = list(start.teams.steps)
            self._evaluations.restored(start.teams.evaluations)

    def _initial_weights(self) -> ArrayRecord:
        """All agents begin with the same weights: those that most seats make of the run's seed."""
        seats = {node: seat for seat, node in self._seats.nodes.items()}
        questions = [
            Message(
                RecordDict({CONFIG: ConfigRecord(dict(self._config))}),
                dst_node_id=node,
                message_type=f"{MessageType.QUERY}.{WEIGHTS}",
                group_id="0",
                ttl=self._settings.round_timeout,
            )
            for node in seats
        ]
        try:
            tensors = most_agreed(Exchange(*self._devices()).replies(questions), seats, self._seats.teams)
        except NoWeightsError as error:
            raise RoundsError(f"no seat has initial weights: {error}") from None
        return ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})

    def _play_one(self, round_: int, initial: ArrayRecord) -> RoundResult | None:
        self._seats.poll()
        if not self._out and not self._playable():
            self._seats.wait_for_all(self._settings.round_timeout, _GRACE)
        teams = self._seats.teams
        self._now({"round": round_, "steps": sum(self._steps) // teams.count})
        began = min((begun.at for begun in self._begun.values()), default=time.monotonic())
        messages = self._messages(round_, initial)
        exchange = Exchange(*self._devices(), self._late, self._settings.quorum)
        asked = self._out | {self._seat_of(message): message.metadata.dst_node_id for message in messages}
        arrived = [*self._held, *exchange.replies(messages, self._meanwhile)]
        exchanged = time.monotonic()
        # Who was asked last, not who is there now: a node may be gone that has answered, or whose seat is missing.
        asked |= exchange.moved
        replies = self._whole_teams(arrived, asked, exchange.late)
        asked = {number: node for number, node in asked.items() if number not in self._out}
        with self._failures():
            self._strategy.place(asked, teams)
            _, shared = self._strategy.aggregate_train(round_, replies)
        if self._strategy.diverged and self._strategy.diverged.keys() == asked.keys():
            said = "; ".join(by_seat(self._strategy.diverged.items(), teams))
            raise DivergedError(
                f"training has diverged in round {round_}; {self._strategy.cause_of_divergence} ({said})"
            )
        reports = self._usable(replies, asked)
        if not any(steps_played(own) for own in by_team(teams, reports).values()):
            return None
        with self._failures():
            agents, state = self._strategy.agents(), self._strategy.whole_state()
        seconds = {"round": exchanged - began, "aggregation": time.monotonic() - exchanged}
        if self._settings.overlap:
            self._begun = {team: _Begun(order, exchanged) for team, order in self._announced.items()}
            seconds["aggregation"] = 0.0  # it is in the next round's seconds
        row = {
            **round_row(round_, teams, self._steps, reports, seconds),
            "shared": dict(shared or {}),
            "rejected": {teams.key(seat): reason for seat, reason in self._strategy.rejected.items()},
            "missing": self._strategy.missing if teams.count == 1 else list(map(teams.key, self._strategy.missing)),
        }
        rows = [*self._count(round_, reports), row]
        progress = TeamsProgress(list(self._steps), self._evaluations.state()) if teams.count > 1 else None
        return RoundResult(Checkpoint(round_, row["steps"], agents, state, progress), rows)

    def _messages(self, round_: int, initial: ArrayRecord) -> list[Message]:
        """Return the round's orders, for the members of all teams that do not play on and have steps to play."""
        teams = self._seats.teams
        playing_on = {teams.member(number).team for number in self._out}
        asked = {
            number: node for number, node in self._playable().items() if teams.member(number).team not in playing_on
        }
        if not asked:
            return []
        self._announced = {}
        common = ConfigRecord({**self._config, "round-battles": self._settings.round_battles(round_)})
        with self._failures():
            self._strategy.place(asked, teams)
            messages = self._strategy.configure_train(round_, initial, common, self._grid)
        of_team = {
            team: self._team_order(round_, team, asked) for team in {teams.member(number).team for number in asked}
        }
        for message in messages:
            message.content.config_records[CONFIG].update(of_team[teams.member(self._seat_of(message)).team])
        return messages

    def _playable(self) -> dict[int, int]:
        """Return the members that have steps to play and a node, with it."""
        teams, total = self._seats.teams, self._settings.total_steps
        return {
            number: node for number, node in self._seats.nodes.items() if self._steps[teams.member(number).team] < total
        }

    def _team_order(self, round_: int, team: int, asked: Mapping[int, int]) -> dict[str, int | list[int]]:
        """Return what the members of a team are told beside the settings; the same for all of them.

        With an overlap that is also what devices must know to begin the round after this one.
        """
        members, begun = self._seats.teams.of_team(team), self._begun.pop(team, None)
        order: dict[str, int | list[int]] = {
            "steps-before": self._steps[team],
            "seats": [seat for seat, number in enumerate(members) if number in asked],
            "order": _order_number() if begun is None else begun.order,
        }
        if self._settings.overlap:
            self._announced[team] = following = _order_number()
            order |= {"next-order": following, "next-battles": self._settings.round_battles(round_ + 1)}
        return order

    def _whole_teams(
        self, arrived: list[Message], asked: Mapping[int, int], late: Mapping[str, Order]
    ) -> list[Message]:
        """Return the replies of teams all of whose members are done; keep the others' for the next aggregation."""
        teams = self._seats.teams
        playing_on = {teams.member(order.seat).team for order in late.values()}
        self._late = dict(late)
        self._out = {number: node for number, node in asked.items() if teams.member(number).team in playing_on}
        nodes = set(self._out.values())
        self._held = [reply for reply in arrived if reply.metadata.src_node_id in nodes]
        return [reply for reply in arrived if reply.metadata.src_node_id not in nodes]

    def _count(self, round_: int, reports: Mapping[int, Report]) -> list[dict[str, Any]]:
        """Take in what the teams have played; return the rows of evaluations that are complete with it."""
        teams = self._seats.teams
        found = by_team(teams, reports)
        for team, own in found.items():
            self._evaluations.add(team, evaluations_of(self._steps[team], own))
            self._steps[team] += steps_played(own)
        return self._evaluations.rows(round_, {*found, *(teams.member(number).team for number in self._out)})

    def _devices(self) -> tuple[Grid, Seats, float]:
        return self._grid, self._seats, self._settings.round_timeout

    @staticmethod
    def _seat_of(message: Message) -> int:
        """Return the member's number in a train message."""
        return int(cast(int, message.content.config_records[CONFIG]["seat"]))

    def _fruitless(self, round_: int) -> str:
        silent = [(seat, "no reply") for seat in self._strategy.missing]
        said = by_seat([*self._strategy.rejected.items(), *silent], self._seats.teams)
        return "; ".join([f"{_FRUITLESS_LIMIT} times no device brought round {round_} to its end", *said])

    def _usable(self, replies: list[Message], asked: Mapping[int, int]) -> dict[int, Report]:
        """Seat -> metrics of the replies that the strategy did not reject; `asked` is seat -> the node asked last."""
        seats = {node: seat for seat, node in asked.items()}
        reports: dict[int, Report] = {}
        for reply in replies:
            seat = seats.get(reply.metadata.src_node_id)
            if seat is not None and not reply.has_error() and seat not in self._strategy.rejected:
                reports.setdefault(seat, cast(Report, dict(reply.content.metric_records[METRICS])))
        return dict(sorted(reports.items()))


def _order_number() -> int:
    """Return the number of an order, so that a round that is played again is not taken for what it was before."""
    return 1 + secrets.randbits(62)
