"""What is said of several seats, in sentences for a user: the same sentence once, with the seats that it concerns."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_SEAT = re.compile(r"\bseat (\d+)\b")


def by_seat(said: Iterable[tuple[int, str]]) -> list[str]:
    """Return "seats 0, 2: SENTENCE" for each sentence that seats (seat, sentence) have said, in order of the first.

    Sentences that differ in nothing but the number of their own seat are the same.
    """
    said = list(said)
    often = Counter(sentence for _, sentence in said)
    seats: dict[str, list[int]] = {}
    first: dict[str, str] = {}
    for seat, sentence in said:
        key = sentence if often[sentence] > 1 else _of_any_seat(sentence, seat)
        seats.setdefault(key, []).append(seat)
        first.setdefault(key, sentence)
    return [
        f"{named(of)}: {(key if len(of) > 1 else first[key]).removeprefix('the seat: ')}" for key, of in seats.items()
    ]


def by_device(said: Iterable[str]) -> list[str]:
    """Return each sentence that devices have said once: with the seats that it names itself, else how many said it."""
    found: dict[str, list[str]] = {}
    for sentence in said:
        match = _SEAT.search(sentence)
        found.setdefault(sentence if match is None else _of_any_seat(sentence, int(match[1])), []).append(sentence)
    return [sentence for key, alike in found.items() for sentence in _together(key, alike)]


def named(seats: Sequence[int]) -> str:
    """Return "seat 1" or "seats 0, 1, 2", each once and in order."""
    each = sorted(set(seats))
    return f"seat{'s' if len(each) > 1 else ''} {', '.join(map(str, each))}"


def _together(key: str, alike: list[str]) -> list[str]:
    """Return one sentence for all of `alike`, of which `key` is the form without their seats."""
    if len(alike) == 1:
        return alike
    seats = {int(match[1]) for sentence in alike if (match := _SEAT.search(sentence)) is not None}
    if len(seats) > 1:
        return [f"{named(sorted(seats))}: {key.removeprefix('the seat: ')}"]
    return [f"{len(alike)} devices: {alike[0]}"]


def _of_any_seat(sentence: str, seat: int) -> str:
    return re.sub(rf"\bseat {seat}\b", "the seat", sentence)
