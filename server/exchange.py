"""An exchange with the devices: orders out, replies back, whatever happens to nodes and messages in between."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
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


def teams_needed(teams: int, quorum: float) -> int:
    """Return how many of so many teams an aggregation waits for: the share `quorum`, rounded up; at least one.

    For 0 teams the result is 0. `quorum` is above 0 and at most 1.
    """
    # Clear of rounding: 0.28 * 25 is a little more than 7.
    return min(teams, max(1, math.ceil(teams * quorum - 1e-9)))


@dataclass
class Order:
    """A message that has not been answered."""

    message: Message
    began: float  # when it was first sent, perhaps to another node; time.monotonic()
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

    def __init__(
        self,
        grid: Grid,
        seats: Seats,
        timeout: float,
        late: Mapping[str, Order] | None = None,
        quorum: float = 1.0,
    ) -> None:
        """`seats` is polled while replies are awaited, for `timeout` seconds at most after a message was sent.

        `late` are orders of the exchange before, message id -> order, which are awaited with those of this one. The
        exchange ends when the share `quorum` of the teams that have orders has answered them all.
        """
        self._grid = grid
        self._seats = seats
        self._timeout = timeout
        self._quorum = quorum
        self._pending: dict[str, Order] = dict(late or {})  # message id -> what has not been answered yet
        self._asked: dict[int, int] = {}  # node -> the seat that it was asked to play
        self._expected: set[int] = set()  # teams that have had an order in this exchange
        self.moved: dict[int, int] = {}

    @property
    def late(self) -> dict[str, Order]:
        """What has not been answered when the exchange has ended, by message id: for the next one."""
        return dict(self._pending)

    def replies(self, messages: list[Message], meanwhile: Callable[[], None] = lambda: None) -> Iterator[Message]:
        """Push `messages`, yield the replies as they come; `meanwhile` is called in between, once.

        A seat that moved to another node is asked there again, one whose messages are lost is not waited for. One that
        has not answered in time is dropped from the seats, and takes part again when it does.
        """
        self._asked |= {order.node: order.seat for order in self._pending.values()}
        self._push(messages, [time.monotonic()] * len(messages))
        meanwhile()
        self._expected = set(self._by_team())
        began = time.monotonic()
        next_poll, doubt_at = began + _POLL_EVERY, dict.fromkeys(self._expected, began + _SILENCE)
        idle: list[str] = []  # orders without a working device: their answers have been sent, or are lost
        expired: list[Order] = []
        while True:
            for reply in self._grid.pull_messages(list(self._pending)):
                order = self._pending.pop(reply.metadata.reply_to_message_id, None)
                if order is None:  # what a reply says it answers is what its device says
                    continue
                if order.is_given_up(reply):
                    expired.append(order)
                    continue
                yield reply
                team = self._team_of(order)
                doubt_at[team] = min(doubt_at[team], time.monotonic() + _LATE)
            self._follow(idle)
            now = time.monotonic()
            expired += self._too_old(now)
            if self._is_enough():
                break
            if now > next_poll:
                heard = self._seats.poll()
                self._follow([id_ for id_, order in self._pending.items() if self._has_moved(order)])
                idle = [id_ for id_, order in self._pending.items() if order.seat in heard and self._is_idle(order)]
                next_poll = now + _POLL_EVERY
            for team, orders in self._by_team().items():
                if now > doubt_at[team]:
                    self._doubt(orders)
            time.sleep(_PAUSE)
        self._drop(expired)

    def _push(self, messages: list[Message], began: list[float]) -> None:
        ids = self._grid.push_messages(messages)
        orders = [Order(*each) for each in zip(messages, began, strict=True)]
        self._pending |= dict(zip(ids, orders, strict=True))
        self._asked |= {order.node: order.seat for order in orders}

    def _is_enough(self) -> bool:
        """Whether so many teams have answered all that they were sent that the exchange may end."""
        waited_for = len(self._by_team())
        return len(self._expected) - waited_for >= teams_needed(len(self._expected), self._quorum)

    def _too_old(self, now: float) -> list[Order]:
        """Take out and return the orders that have not been answered in time."""
        old = [id_ for id_, order in self._pending.items() if now > order.began + self._timeout]
        return [self._pending.pop(id_) for id_ in old]

    def _by_team(self) -> dict[int, list[Order]]:
        """Return the orders that have not been answered, by team."""
        found: dict[int, list[Order]] = {}
        for order in self._pending.values():
            found.setdefault(self._team_of(order), []).append(order)
        return found

    def _team_of(self, order: Order) -> int:
        return self._seats.teams.member(order.seat).team

    def _doubt(self, orders: list[Order]) -> None:
        """Ask the seats of these orders whether they are still at it, each once."""
        for order in orders:
            if not order.doubted and self._is_held(order):
                order.doubted = True
                self._seats.doubt(order.seat)

    def _is_held(self, order: Order) -> bool:
        """Whether an order's seat is still its node's."""
        holder = self._seats.holders.get(order.seat)
        return holder is not None and holder.node == order.node

    def _has_moved(self, order: Order) -> bool:
        """Whether an order's seat has another node now: the old one will not answer."""
        return order.seat in self._seats.holders and not self._is_held(order)

    def _is_idle(self, order: Order) -> bool:
        """Whether an order's node has answered a question that it was sent after the order."""
        return self._is_held(order) and self._seats.holders[order.seat].asked_at > order.sent_at

    def _follow(self, stale: list[str]) -> None:
        """These orders, where they still are pending, will not be answered: give them again, if that makes sense.

        It does while others of the team still play the round, and if the agent kept the round before; else the seat
        takes part from the next round on, which brings it all its tensors. Alone it would only play against idle units.
        A node that was asked to play another seat in this exchange is not asked for a second one.
        """
        lost = {id_: self._pending.pop(id_) for id_ in stale if id_ in self._pending}
        playing = set(self._by_team())
        found, since = [], []
        for order in lost.values():
            message, seat, holder = order.message, order.seat, self._seats.holders.get(order.seat)
            round_, about = int(message.metadata.group_id), {"seat": seat, "round": int(message.metadata.group_id)}
            name = self._seats.teams.named([seat])
            if holder is None or holder.node == order.node:
                log.warning("%s: round %d, or its answer, was lost on the way", name, round_, extra=about)
            elsewhere = holder is not None and self._asked.get(holder.node, seat) != seat
            if self._team_of(order) not in playing or holder is None or holder.round != round_ - 1 or elsewhere:
                log.info("%s is back, too late for round %d", name, round_, extra=about)
                continue
            again = Message(
                message.content,
                dst_node_id=holder.node,
                message_type=message.metadata.message_type,
                group_id=message.metadata.group_id,
                ttl=message.metadata.ttl,
            )
            self.moved[seat] = holder.node
            found.append(again)
            since.append(order.began)
            log.info("%s is back: round %d goes to it again", name, round_, extra=about)
        if found:  # at once: members of one team on one device play their round together
            self._push(found, since)

    def _drop(self, late: list[Order]) -> None:
        """Leave the seats empty whose nodes are there, but have not answered in time."""
        if late:
            self._seats.poll()  # a seat without a node is not a straggler
        for order in late:
            if not self._is_held(order):
                continue
            about = {"seat": order.seat}
            name = self._seats.teams.named([order.seat])
            log.warning("%s does not answer; the others continue without it until it does", name, extra=about)
            self._seats.drop(order.seat)
