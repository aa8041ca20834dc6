"""A round that a device plays before the server's message for it has come (setting `overlap`)."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from client.messages import Reply, Request, Tensors
from client.plan import RoundOrder
from client.play import RoundReport
from client.seat import Seat
from client.seat_session import SeatSession
from strategies.messages import TRAIN

# Seconds that a seat waits for the message while it holds its place in the arena. Flower reports a device that was lost
# within 70 s, and the server then sends the message.
_PATIENCE = 120.0


class AheadError(Exception):
    """The round was left before the server's tensors were merged: it can begin again. The message says why."""


class RoundAhead:
    """A round that its seat plays in a thread of its own, up to where it needs the server's tensors.

    It ends by `finish`, which brings them, or by `abandon`. Then the seat may play again.
    """

    def __init__(self, order: RoundOrder, seat: Seat, session: SeatSession) -> None:
        """Begin to play at once."""
        self.order = order
        self._seat = seat
        self._session = session
        self._tensors: Future[Tensors] = Future()
        self._report: Future[RoundReport] = Future()
        self._has_tensors = False
        self._waits_since: float | None = None
        round_ = seat.begin_ahead(order, self._await_tensors)

        def play() -> None:
            try:
                self._report.set_result(session.play(round_))
            except Exception as error:  # raised where the report is asked for
                self._report.set_exception(error if self._has_tensors else AheadError(str(error)))
            finally:
                self._waits_since = time.monotonic()

        self._thread = threading.Thread(target=play, name=f"round {order.round}", daemon=True)
        self._thread.start()

    def is_ordered(self, request: Request) -> bool:
        """Whether a message of the server orders this round. Raises KeyError naming a missing key."""
        return request.kind == TRAIN and self._seat.order(request.config).continues(self.order)

    @property
    def waits_since(self) -> float | None:
        """Since when it cannot continue without the server's message, by time.monotonic(); None while it plays."""
        return self._waits_since

    def finish(self, tensors: Tensors) -> RoundReport:
        """Play to the end with these tensors, which fit the seat.

        Raises AheadError if it was left before, and what `SeatSession.play` raises.
        """
        self._tensors.set_result(tensors)
        return self._report.result()

    def abandon(self) -> None:
        """Leave the round; return when its thread has ended. The session is stopped then, until `allow`."""
        self._tensors.set_exception(AheadError("the round is not continued"))
        self._session.stop()
        self._thread.join()

    def _await_tensors(self) -> Tensors:
        self._waits_since = time.monotonic()
        try:
            tensors = self._tensors.result(_PATIENCE)
        except TimeoutError:
            raise AheadError(f"the server has sent nothing for {_PATIENCE:.0f} s") from None
        self._waits_since, self._has_tensors = None, True
        return tensors


def begin_ahead(request: Request, reply: Reply, seat: Seat, session: SeatSession) -> RoundAhead | None:
    """Begin the round after that of a train message and its reply; None if it is not announced or cannot begin yet."""
    order = seat.order_ahead(request.config, int(reply.values["steps"]))
    return RoundAhead(order, seat, session) if order is not None and seat.may_begin_ahead(order) else None
