"""The replies of a round: whose can be used, whose cannot, and who sent none."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from flwr.app import Message

from operations.members import ONE_TEAM, Teams
from strategies.sentences import by_seat
from strategies.update import DivergedReply, RejectedReply, Update

logger = logging.getLogger(__name__)


class SortedReplies(NamedTuple):
    """What became of a round's replies: every seat that was asked is in one of the first three."""

    updates: list[Update]
    """Of the usable replies, in seat order."""
    rejected: dict[int, str]
    """Seat -> why its reply is left out, in seat order."""
    missing: list[int]
    """Seats that did not reply."""
    diverged: dict[int, str]
    """Those of `rejected` whose training has left the finite numbers -> which numbers."""


def sort_replies(
    server_round: int,
    replies: Iterable[Message],
    seats: Mapping[int, int],
    admit: Callable[[int, int, Message], Update],
    teams: Teams = ONE_TEAM,
) -> SortedReplies:
    """Sort a round's replies; who is left out is logged, what several seats have in common once.

    `seats` maps the seats that were asked to their nodes. `admit(server_round, seat, reply)` reads the reply of a
    seat's node, or raises RejectedReply. A seat's first usable reply counts, and those of other nodes do not. `teams`
    names the seats.
    """
    accepted: dict[int, Update] = {}
    rejected: dict[int, str] = {}
    diverged: dict[int, str] = {}
    left_out: list[tuple[int, str]] = []
    holders = {node: seat for seat, node in seats.items()}
    for reply in replies:
        node = reply.metadata.src_node_id
        seat = holders.get(node)
        if seat is None:
            logger.warning("round %d: reply of node %d left out: it holds no seat", server_round, node)
            continue
        if seat in accepted:
            logger.warning(
                "round %d: another reply of %s left out: the first counts", server_round, teams.named([seat])
            )
            continue
        try:
            update = admit(server_round, seat, reply)
        except RejectedReply as rejection:
            left_out.append((seat, rejection.reason))
            rejected[seat] = rejection.reason
            if isinstance(rejection, DivergedReply):
                diverged[seat] = rejection.detail
        else:
            accepted[seat] = update
    # A seat with a usable reply took part, whatever else its node sent before.
    rejected = {seat: rejected[seat] for seat in sorted(rejected) if seat not in accepted}
    missing = [seat for seat in seats if seat not in accepted and seat not in rejected]
    for sentence in by_seat(sorted(left_out), teams):
        of, _, reason = sentence.partition(": ")
        logger.warning("round %d: %s left out: %s", server_round, of, reason)
    if missing:
        nodes = ", ".join(str(seats[seat]) for seat in missing)
        of = f"node{'s' if len(missing) > 1 else ''} {nodes}"
        logger.warning("round %d: %s left out: no reply from %s", server_round, teams.named(missing), of)
    return SortedReplies(
        [accepted[seat] for seat in sorted(accepted)],
        rejected,
        missing,
        {seat: diverged[seat] for seat in rejected if seat in diverged},
    )
