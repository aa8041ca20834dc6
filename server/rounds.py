"""The rounds of a run: weights out, one round of battles and training on every device, weights back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from server.checkpoints import Checkpoint
from server.exchange import Exchange
from server.initial import NoWeightsError, most_agreed
from server.metrics import evaluation_rows, round_row, steps_played
from server.seats import NoTeamError, Seats, SeatsError
from server.settings import Settings
from server.strategy_failure import failures_of
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
    """A round that devices have begun before its messages are out, because the round before announced it."""

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
        self._begun: _Begun | None = None

    def play(self, start: Checkpoint | None) -> Iterator[RoundResult]:
        """Play on from `start` (None: from the beginning), yielding each round as it ends.

        A run begins with all seats; one that has begun waits a while, then continues with those that are there.

        Raises SeatsError if the team does not come together (NoTeamError if it never has), RoundsError if no device
        brings a round to its end (DivergedError if all trained until their numbers were not finite), and
        StrategyFailedError if the strategy raises an exception or returns what cannot be used.
        """
        try:
            self._seats.wait_for_all(self._settings.round_timeout, None if start is None else _GRACE)
        except SeatsError as error:
            raise (NoTeamError(str(error)) if start is None else error) from None
        self._met(self._seats.provenance)
        if start is None:
            initial = self._initial_weights()
            round_, steps = 0, 0
        else:
            with self._failures():
                self._strategy.restore(start.agents, start.strategy)
            initial = ArrayRecord({name: Array(tensor) for name, tensor in start.agents[min(start.agents)].items()})
            round_, steps = start.round, start.steps
        fruitless = 0
        while steps < self._settings.total_steps:
            result = self._play_one(round_ + 1, steps, initial)
            if result is None:
                fruitless += 1
                if fruitless == _FRUITLESS_LIMIT:
                    raise RoundsError(self._fruitless(round_ + 1))
                continue
            fruitless = 0
            round_, steps = result.checkpoint.round, result.checkpoint.steps
            yield result

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
            tensors = most_agreed(self._exchange().replies(questions), seats)
        except NoWeightsError as error:
            raise RoundsError(f"no seat has initial weights: {error}") from None
        return ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})

    def _play_one(self, round_: int, steps: int, initial: ArrayRecord) -> RoundResult | None:
        self._seats.poll()
        if not self._seats.holders:
            self._seats.wait_for_all(self._settings.round_timeout, _GRACE)
        self._now({"round": round_, "steps": steps})
        asked = self._seats.nodes
        begun, self._begun = self._begun or _Begun(_order_number(), time.monotonic()), None
        following = _order_number()
        battles, seats = self._settings.round_battles(round_), sorted(asked)
        orders = ConfigRecord(
            {
                **self._config,
                "steps-before": steps,
                "round-battles": battles,
                "seats": seats,
                "order": begun.order,
                **(self._announced(round_ + 1, following) if self._settings.overlap else {}),
            }
        )
        with self._failures():
            self._strategy.place(asked)
            messages = self._strategy.configure_train(round_, initial, orders, self._grid)
        exchange = self._exchange()
        replies = list(exchange.replies(messages, self._meanwhile))
        exchanged = time.monotonic()
        # Who was asked last, not who is there now: a node may be gone that has answered, or whose seat is missing.
        asked |= exchange.moved
        with self._failures():
            self._strategy.place(asked)
            _, shared = self._strategy.aggregate_train(round_, replies)
        if self._strategy.diverged and self._strategy.diverged.keys() == asked.keys():
            said = "; ".join(by_seat(self._strategy.diverged.items()))
            raise DivergedError(
                f"training has diverged in round {round_}; {self._strategy.cause_of_divergence} ({said})"
            )
        reports = self._usable(replies, asked)
        if not reports:
            return None
        played = steps_played(reports)
        if played == 0:
            return None
        with self._failures():
            agents, state = self._strategy.agents(), self._strategy.whole_state()
        checkpoint = Checkpoint(round_, steps + played, agents, state)
        seconds = {"round": exchanged - begun.at, "aggregation": time.monotonic() - exchanged}
        if self._settings.overlap:
            self._begun, seconds["aggregation"] = _Begun(following, exchanged), 0.0  # it is in the next round's seconds
        row = {
            **round_row(round_, steps, reports, seconds),
            "shared": dict(shared or {}),
            "rejected": {str(seat): reason for seat, reason in self._strategy.rejected.items()},
            "missing": list(self._strategy.missing),
        }
        return RoundResult(checkpoint, [*evaluation_rows(round_, steps, reports), row])

    def _announced(self, round_: int, order: int) -> dict[str, int]:
        """What a message says of the round after its own, so that devices may begin it."""
        return {"next-order": order, "next-battles": self._settings.round_battles(round_)}

    def _exchange(self) -> Exchange:
        return Exchange(self._grid, self._seats, self._settings.round_timeout)

    def _fruitless(self, round_: int) -> str:
        silent = [(seat, "no reply") for seat in self._strategy.missing]
        said = by_seat([*self._strategy.rejected.items(), *silent])
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
