"""What the seats of an arena play where they do not agree. Pure functions over the phases that they want.

A seat that lies is one of several: what most want counts, so one of three cannot say which round is played, how far it
is, or what is trained in it. With two seats, the arena cannot tell which one lies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from envproxy.protocol import Phase


def chosen(proposals: Collection[Phase]) -> Phase:
    """Return which of `proposals`, at least one, is played.

    It is of the round that most want, of equals the newest, and in that round what most propose; where these are
    several, the middle one by how far it is, of two the further one.
    """
    rounds = Counter(phase.round for phase in proposals)
    round_ = max(rounds, key=lambda each: (rounds[each], each))
    of_round = sorted((phase for phase in proposals if phase.round == round_), key=lambda phase: phase.standing)
    votes = Counter(phase.common() for phase in of_round)
    most = max(votes.values())
    first = [phase for phase in of_round if votes[phase.common()] == most]
    return first[len(first) // 2]


def overtaking(phase: Phase, others: Collection[Phase]) -> int | None:
    """Return the newer round that leaves a proposal behind: more than half of the seats want newer ones. None if not.

    `others` is what the other seats want.
    """
    newer = Counter(other.round for other in others if other.round > phase.round)
    return newer.most_common(1)[0][0] if 2 * newer.total() > len(others) + 1 else None


def outvotes(wanted: Collection[Phase], on: Phase, backers: int) -> bool:
    """Say whether another phase is to be played than the one that is `on`, which as many as `backers` seats proposed.

    It is if more than half of the seats, and more than have proposed the one that is on, want the same other one.
    """
    if not wanted:
        return False
    phase, votes = Counter(each.common() for each in wanted).most_common(1)[0]
    return phase != on.common() and 2 * votes > len(wanted) and votes > backers
