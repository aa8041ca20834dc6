"""What is said of several members, in sentences for a user: the same sentence once, with the members it concerns."""

import re
from collections import Counter
from collections.abc import Iterable

from operations.members import ONE_TEAM, Member, Teams

_SEAT = re.compile(r"\b(?:team (\d+), )?seat (\d+)\b")  # as Teams.named has it


def by_seat(said: Iterable[tuple[int, str]], teams: Teams = ONE_TEAM) -> list[str]:
    """Return "seats 0, 2: SENTENCE" for each sentence that members (number, sentence) have said, in order of the first.

    Sentences that differ in nothing but the name of their own member are the same.
    """
    said = list(said)
    often = Counter(sentence for _, sentence in said)
    seats: dict[str, list[int]] = {}
    first: dict[str, str] = {}
    for seat, sentence in said:
        key = sentence if often[sentence] > 1 else _of_any_seat(sentence, teams.named([seat]))
        seats.setdefault(key, []).append(seat)
        first.setdefault(key, sentence)
    return [
        f"{teams.named(of)}: {(key if len(of) > 1 else first[key]).removeprefix('the seat: ')}"
        for key, of in seats.items()
    ]


def by_device(said: Iterable[str], teams: Teams = ONE_TEAM) -> list[str]:
    """Return each sentence that devices have said once: with the seats that it names itself, else how many said it."""
    found: dict[str, list[str]] = {}
    for sentence in said:
        match = _SEAT.search(sentence)
        found.setdefault(sentence if match is None else _of_any_seat(sentence, match[0]), []).append(sentence)
    return [sentence for key, alike in found.items() for sentence in _together(key, alike, teams)]


def _together(key: str, alike: list[str], teams: Teams) -> list[str]:
    """Return one sentence for all of `alike`, of which `key` is the form without their seats."""
    if len(alike) == 1:
        return alike
    matches = [match for sentence in alike if (match := _SEAT.search(sentence)) is not None]
    seats = {teams.number(Member(int(match[1] or 0), int(match[2]))) for match in matches}
    if len(seats) > 1:
        return [f"{teams.named(seats)}: {key.removeprefix('the seat: ')}"]
    return [f"{len(alike)} devices: {alike[0]}"]


def _of_any_seat(sentence: str, name: str) -> str:
    return re.sub(rf"\b{re.escape(name)}\b", "the seat", sentence)
