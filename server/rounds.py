"""The rounds of a run: weights out, one round of battles and training on every device, weights back."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from server.figures import Report, evaluation_rows, round_row, steps_played
from server.initial import NoWeightsError, most_agreed
from server.run_directory import Checkpoint
from server.seats import NoTeamError, Seats, SeatsError
from server.settings import Settings
from strategies.sharing import Sharing

log = logging.getLogger("server")

# Seconds between two pulls, which cost the SuperLink as much as they do us. Shorter gains nothing: a SuperNode that has
# sent its reply looks for the next message 3 s later. Flower's own send_and_receive waits 3.
_PAUSE = 0.5
_LOOK_EVERY = 2.0  # seconds between two looks for devices that have come back
# Seconds after which a device is asked whether it is still at it: after the first answer of another, for all seats end
# a round together; and if nobody answers. Flower does not say that a message was lost, as when a network is cut.
_LATE, _SILENCE = 10.0, 300.0
_FRUITLESS_LIMIT = 3  # rounds in a row without a usable reply


class RoundsError(Exception):
    """The run cannot go on; the message says why."""


@dataclass(frozen=True)
class RoundResult:
    """One finished round: the checkpoint it leaves and the rows it adds to the metrics."""

    checkpoint: Checkpoint
    rows: list[dict[str, Any]]


def round_battles(settings: Settings, round_: int) -> int:
    """Return how many battles give `aggregation-every` training steps; the first round fills a batch before."""
    battles = math.ceil(settings.aggregation_every / settings.train_per_battle)
    return battles + (settings.batch_size - 1 if round_ == 1 else 0)


@dataclass
class _Order:
    """A message that has not been answered."""

    message: Message
    sent_at: float = field(default_factory=time.monotonic)
    doubted: bool = False

    @property
    def node(self) -> int:
        return self.message.metadata.dst_node_id

    @property
    def seat(self) -> int:
        """The seat that it is for; -1 for a question of another kind than train."""
        seat = self.message.content.config_records["config"].get("seat", -1)
        return seat if isinstance(seat, int) else -1

    def is_given_up(self, reply: Message) -> bool:
        """Whether this is the SuperLink's word, in place of the device's, that no answer to a round will come.

        It says so when a message is as old as `round-timeout`, often just before we would give the device up.
        """
        return self.seat >= 0 and reply.metadata.src_node_id != self.node


class Rounds:
    """Plays rounds of one run, one after the other, until its environment steps are done."""

    def __init__(
        self,
        grid: Grid,
        settings: Settings,
        strategy: Sharing,
        run_config: dict[str, bool | int | float | str],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """`run_config` is what every device is told of the run: all settings, run-id and version.

        `meanwhile` is called once a round, when its messages are out: what is done there delays no device.
        """
        self._grid = grid
        self._settings = settings
        self._strategy = strategy
        self._config = run_config
        self._meanwhile = meanwhile
        self._seats = Seats(grid, run_config)
        self._asked: dict[int, int] = {}  # seat -> the node that was last asked to play this round

    def play(self, start: Checkpoint | None) -> Iterator[RoundResult]:
        """Play on from `start` (None: from the beginning), yielding each round as it ends.

        Raises SeatsError if the team does not come together (NoTeamError if it never has), RoundsError if no device
        brings a round to its end.
        """
        try:
            self._seats.wait_for_all(self._settings.round_timeout)
        except SeatsError as error:
            raise (NoTeamError(str(error)) if start is None else error) from None
        if start is None:
            initial = self._initial_weights()
            round_, steps = 0, 0
        else:
            self._strategy.restore(start.agents)
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
                RecordDict({"config": ConfigRecord(dict(self._config))}),
                dst_node_id=node,
                message_type=f"{MessageType.QUERY}.weights",
                group_id="0",
                ttl=self._settings.round_timeout,
            )
            for node in seats
        ]
        try:
            tensors = most_agreed(self._exchange(questions), seats)
        except NoWeightsError as error:
            raise RoundsError(f"no seat has initial weights: {error}") from None
        return ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})

    def _play_one(self, round_: int, steps: int, initial: ArrayRecord) -> RoundResult | None:
        self._seats.look()
        if not self._seats.holders:
            self._seats.wait_for_all(self._settings.round_timeout)
        self._asked = dict(self._seats.nodes)
        self._strategy.place(self._asked)
        battles, seats = round_battles(self._settings, round_), sorted(self._asked)
        orders = ConfigRecord({**self._config, "steps-before": steps, "round-battles": battles, "seats": seats})
        began = time.monotonic()
        messages = self._strategy.configure_train(round_, initial, orders, self._grid)
        replies = list(self._exchange(messages, self._meanwhile))
        exchanged = time.monotonic()
        # Who was asked last, not who is there now: a node may be gone that has answered, or whose seat is missing.
        self._strategy.place(self._asked)
        _, shared = self._strategy.aggregate_train(round_, replies)
        reports = self._usable(replies)
        if not reports:
            return None
        played = steps_played(reports)
        if played == 0:
            return None
        checkpoint = Checkpoint(round_, steps + played, self._strategy.agents())
        seconds = {"round": exchanged - began, "aggregation": time.monotonic() - exchanged}
        row = {
            **round_row(round_, steps, reports, seconds),
            "shared": dict(shared or {}),
            "rejected": {str(seat): reason for seat, reason in self._strategy.rejected.items()},
            "missing": list(self._strategy.missing),
        }
        return RoundResult(checkpoint, [*evaluation_rows(round_, steps, reports), row])

    def _exchange(self, messages: list[Message], meanwhile: Callable[[], None] = lambda: None) -> Iterator[Message]:
        """Push `messages`, yield the replies as they come.

        A seat that moved to another node is asked there again, one whose messages are lost is not waited for. One that
        has not answered in time takes part again when it does.
        """
        pending = {id_: _Order(message) for id_, message in self._pushed(messages)}
        meanwhile()
        began = time.monotonic()
        next_look, doubt_at = began + _LOOK_EVERY, began + _SILENCE
        idle: list[str] = []  # orders that nobody works at: their answers have been sent, or are lost
        expired: list[_Order] = []
        while True:
            for reply in self._grid.pull_messages(list(pending)):
                order = pending.pop(reply.metadata.reply_to_message_id, None)
                if order is not None and order.is_given_up(reply):
                    expired.append(order)
                    continue
                yield reply
                doubt_at = min(doubt_at, time.monotonic() + _LATE)
            self._follow(pending, idle)
            now = time.monotonic()
            if not pending or now > began + self._settings.round_timeout:
                break
            if now > next_look:
                heard = self._seats.look()
                self._follow(pending, [id_ for id_, order in pending.items() if self._has_moved(order)])
                idle = [id_ for id_, order in pending.items() if order.seat in heard and self._is_idle(order)]
                next_look = now + _LOOK_EVERY
            if now > doubt_at:
                self._doubt(pending)
            time.sleep(_PAUSE)
        late = [*expired, *pending.values()]
        if late:
            self._seats.look()  # whose node is gone is no straggler
        for order in late:
            holder = self._seats.holders.get(order.seat)
            if holder is None or holder.node != order.node:
                continue
            about = {"seat": order.seat}
            log.warning("seat %d does not answer; the others go on without it until it does", order.seat, extra=about)
            self._seats.drop(order.seat)

    def _pushed(self, messages: list[Message]) -> Iterator[tuple[str, Message]]:
        return zip(self._grid.push_messages(messages), messages, strict=True)

    def _doubt(self, pending: dict[str, _Order]) -> None:
        """Ask the seats that have not answered whether they are still at it, each once."""
        for order in pending.values():
            holder = self._seats.holders.get(order.seat)
            if not order.doubted and holder is not None and holder.node == order.node:
                order.doubted = True
                self._seats.doubt(order.seat)

    def _has_moved(self, order: _Order) -> bool:
        """Whether an order's seat has another node now: the old one will not answer."""
        holder = self._seats.holders.get(order.seat)
        return holder is not None and holder.node != order.node

    def _is_idle(self, order: _Order) -> bool:
        """Whether an order's node has answered a question that it was sent after the order."""
        holder = self._seats.holders[order.seat]
        return holder.node == order.node and holder.asked_at > order.sent_at

    def _follow(self, pending: dict[str, _Order], stale: list[str]) -> None:
        """These orders, where they still are pending, will not be answered: give them again, if that makes sense.

        It does while others still play the round, and if the agent kept the round before; else the seat takes part
        from the next round on, which brings it all its tensors. Alone it would only play against idle units.
        """
        lost = {id_: pending.pop(id_) for id_ in stale if id_ in pending}
        others = bool(pending)
        for order in lost.values():
            message, seat, holder = order.message, order.seat, self._seats.holders.get(order.seat)
            round_, about = int(message.metadata.group_id), {"seat": seat, "round": int(message.metadata.group_id)}
            if holder is None or holder.node == order.node:
                log.warning("seat %d: round %d, or its answer, was lost on the way", seat, round_, extra=about)
            if not others or holder is None or holder.round != round_ - 1:
                log.info("seat %d is back, too late for round %d", seat, round_, extra=about)
                continue
            again = Message(
                message.content,
                dst_node_id=holder.node,
                message_type=message.metadata.message_type,
                group_id=message.metadata.group_id,
                ttl=message.metadata.ttl,
            )
            self._asked[seat] = holder.node
            pending |= {id_: _Order(message) for id_, message in self._pushed([again])}
            log.info("seat %d is back: round %d goes to it again", seat, round_, extra=about)

    def _fruitless(self, round_: int) -> str:
        said = [f"seat {seat}: {reason}" for seat, reason in self._strategy.rejected.items()]
        silent = [f"seat {seat}: no reply" for seat in self._strategy.missing]
        return "; ".join([f"{_FRUITLESS_LIMIT} times no device brought round {round_} to its end", *said, *silent])

    def _usable(self, replies: list[Message]) -> dict[int, Report]:
        """Seat -> metrics of the replies that the strategy did not reject."""
        reports: dict[int, Report] = {}
        for reply in replies:
            if reply.has_error():
                continue
            metrics: Report = dict(reply.content.metric_records.get("metrics", {}))
            seat: Any = metrics.get("seat")
            if seat in self._strategy.rejected or self._asked.get(seat) != reply.metadata.src_node_id:
                continue
            reports.setdefault(seat, metrics)
        return dict(sorted(reports.items()))
