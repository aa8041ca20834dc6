"""The weights that a run begins with: every device makes the same of its seed, so one that sends others is outvoted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from flwr.app import Message

from operations.members import ONE_TEAM, Teams
from strategies.arithmetic import Tensor
from strategies.sentences import by_seat
from strategies.update import RejectedReply, parse_weights

log = logging.getLogger("server")


class NoWeightsError(Exception):
    """No device has sent weights that can be used; the message says what each has sent."""


def most_agreed(answers: Iterable[Message], seats: Mapping[int, int], teams: Teams = ONE_TEAM) -> dict[str, Tensor]:
    """Return the weights that most devices have sent, the lowest seat's among equals.

    `answers` are read until more than half of all devices agree; `seats` maps their nodes to seats, which
    `teams` names. Raises NoWeightsError.
    """
    votes: dict[frozenset[object], list[int]] = {}
    weights: dict[frozenset[object], dict[str, Tensor]] = {}
    wrong: list[tuple[int, str]] = []
    for answer in answers:
        seat = seats.get(answer.metadata.src_node_id, -1)  # -1: the SuperLink's word in place of a device's
        try:
            tensors = parse_weights(answer)
        except RejectedReply as rejected:
            wrong.append((seat, rejected.reason))
            continue
        ballot = frozenset((name, tensor.shape, tensor.tobytes()) for name, tensor in tensors.items())
        votes.setdefault(ballot, []).append(seat)
        weights.setdefault(ballot, tensors)
        if 2 * len(votes[ballot]) > len(seats):
            break
    if not votes:
        raise NoWeightsError("; ".join(by_seat(sorted(wrong), teams)) or "no device has answered in time")
    for sentence in by_seat(sorted(wrong), teams):
        seats_, _, reason = sentence.partition(": ")
        log.warning("%s: initial weights left out: %s", seats_, reason)
    if len(votes) > 1:
        log.warning("seats begin with different weights: %s; those of most are taken", list(votes.values()))
    return weights[max(votes, key=lambda ballot: (len(votes[ballot]), -min(votes[ballot])))]
