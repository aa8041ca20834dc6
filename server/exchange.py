"""An exchange with the devices: orders out, replies back, whatever happens to nodes and messages in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flwr.app import Message
from flwr.serverapp import Grid

from server.seats import Seats
from strategies.messages import CONFIG

log = logging.getLogger("server")

# Seconds between two pulls, which cost the SuperLink as much as they do us. Shorter gains nothing: a SuperNode that has
# sent its reply looks for the next message 3 s later. Flower's own send_and_receive waits 3.
_PAUSE = 0.5
_POLL_EVERY = 2.0  # seconds between two polls for devices that have come back
# Seconds after which a device is asked whether it is still at it: after the first answer of another, for all seats end
# a round together; and if no device answers. Flower does not say that a message was lost, as when a network is cut.
_LATE, _SILENCE = 10.0, 300.0


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
        seat = self.message.content.config_records[CONFIG].get("seat", -1)
        return seat if isinstance(seat, int) else -1

    def is_given_up(self, reply: Message) -> bool:
        """Whether this is the SuperLink's word, in place of the device's, that no answer to a round will come.

        It says so when a message is as old as `round-timeout`, often just before we would give the device up.
        """
        return self.seat >= 0 and reply.metadata.src_node_id != self.node


class Exchange:
    """One exchange of messages with the devices of a run; the next one is another object.

    `moved` maps each seat that was asked again, at another node than its message was made for, to that node.
    """

    def __init__(self, grid: Grid, seats: Seats, timeout: float) -> None:
        """`seats` is polled while replies are awaited, for `timeout` seconds at most."""
        self._grid = grid
        self._seats = seats
        self._timeout = timeout
        self._pending: dict[str, _Order] = {}  # message id -> what has not been answered yet
        self._asked: dict[int, int] = {}  # node -> the seat that it was asked to play
        self.moved: dict[int, int] = {}

    def replies(self, messages: list[Message], meanwhile: Callable[[], None] = lambda: None) -> Iterator[Message]:
        """Push `messages`, yield the replies as they come; `meanwhile` is called in between, once.

        A seat that moved to another node is asked there again, one whose messages are lost is not waited for. One that
        has not answered in time is dropped from the seats, and takes part again when it does.
        """
        self._push(messages)
        meanwhile()
        began = time.monotonic()
        next_poll, doubt_at = began + _POLL_EVERY, began + _SILENCE
        idle: list[str] = []  # orders without a working device: their answers have been sent, or are lost
        expired: list[_Order] = []
        while True:
            for reply in self._grid.pull_messages(list(self._pending)):
                order = self._pending.pop(reply.metadata.reply_to_message_id, None)
                if order is None:  # what a reply says it answers is what its device says
                    continue
                if order.is_given_up(reply):
                    expired.append(order)
                    continue
                yield reply
                doubt_at = min(doubt_at, time.monotonic() + _LATE)
            self._follow(idle)
            now = time.monotonic()
            if not self._pending or now > began + self._timeout:
                break
            if now > next_poll:
                heard = self._seats.poll()
                self._follow([id_ for id_, order in self._pending.items() if self._has_moved(order)])
                idle = [id_ for id_, order in self._pending.items() if order.seat in heard and self._is_idle(order)]
                next_poll = now + _POLL_EVERY
            if now > doubt_at:
                self._doubt()
            time.sleep(_PAUSE)
        self._drop([*expired, *self._pending.values()])

    def _push(self, messages: list[Message]) -> None:
        ids = self._grid.push_messages(messages)
        orders = [_Order(message) for message in messages]
        self._pending |= dict(zip(ids, orders, strict=True))
        self._asked |= {order.node: order.seat for order in orders}

    def _doubt(self) -> None:
        """Ask the seats that have not answered whether they are still at it, each once."""
        for order in self._pending.values():
            if not order.doubted and self._is_held(order):
                order.doubted = True
                self._seats.doubt(order.seat)

    def _is_held(self, order: _Order) -> bool:
        """Whether an order's seat is still its node's."""
        holder = self._seats.holders.get(order.seat)
        return holder is not None and holder.node == order.node

    def _has_moved(self, order: _Order) -> bool:
        """Whether an order's seat has another node now: the old one will not answer."""
        return order.seat in self._seats.holders and not self._is_held(order)

    def _is_idle(self, order: _Order) -> bool:
        """Whether an order's node has answered a question that it was sent after the order."""
        return self._is_held(order) and self._seats.holders[order.seat].asked_at > order.sent_at

    def _follow(self, stale: list[str]) -> None:
        """These orders, where they still are pending, will not be answered: give them again, if that makes sense.

        It does while others still play the round, and if the agent kept the round before; else the seat takes part
        from the next round on, which brings it all its tensors. Alone it would only play against idle units. A node
        that was asked to play another seat in this exchange is not asked for a second one.
        """
        lost = {id_: self._pending.pop(id_) for id_ in stale if id_ in self._pending}
        others = bool(self._pending)
        for order in lost.values():
            message, seat, holder = order.message, order.seat, self._seats.holders.get(order.seat)
            round_, about = int(message.metadata.group_id), {"seat": seat, "round": int(message.metadata.group_id)}
            if holder is None or holder.node == order.node:
                log.warning("seat %d: round %d, or its answer, was lost on the way", seat, round_, extra=about)
            elsewhere = holder is not None and self._asked.get(holder.node, seat) != seat
            if not others or holder is None or holder.round != round_ - 1 or elsewhere:
                log.info("seat %d is back, too late for round %d", seat, round_, extra=about)
                continue
            again = Message(
                message.content,
                dst_node_id=holder.node,
                message_type=message.metadata.message_type,
                group_id=message.metadata.group_id,
                ttl=message.metadata.ttl,
            )
            self.moved[seat] = holder.node
            self._push([again])
            log.info("seat %d is back: round %d goes to it again", seat, round_, extra=about)

    def _drop(self, late: list[_Order]) -> None:
        """Leave the seats empty whose nodes are there, but have not answered in time."""
        if late:
            self._seats.poll()  # a seat without a node is not a straggler
        for order in late:
            if not self._is_held(order):
                continue
            about = {"seat": order.seat}
            log.warning(
                "seat %d does not answer; the others continue without it until it does", order.seat, extra=about
            )
            self._seats.drop(order.seat)
