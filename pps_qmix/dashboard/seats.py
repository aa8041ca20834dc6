"""The seats of a run and the parts it is played by: their state and last words, as the run directory has them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from operations.members import ONE_TEAM, Member, Teams
from pps_qmix.status import RUNNING
from server.report.summary import Row, of_kind
from server.run_directory import now_path

_SEAT_LOG: Final = re.compile(r"seat-(\d+)")
_COLOUR: Final = re.compile(r"\x1b\[[\d;]*m")
_SAYS_NOTHING: Final = re.compile(r"([A-Z]+ *:)?")  # Flower's log has empty messages
_TAIL: Final = 4096  # bytes of a log that are read
_LONGEST: Final = 300  # characters of the last words that are shown


class Words(NamedTuple):
    """The last line of a log, and when it was written (seconds since the epoch)."""

    text: str
    when: float


class SeatState(NamedTuple):
    """A seat: its number, what it is at, its report of the newest round, its device's last words."""

    seat: int
    state: str
    report: Mapping[str, Any]
    weight: float | None  # in the newest aggregate
    words: Words | None
    team: int | None = None  # in a run of several


def now_of(run: Path) -> Mapping[str, Any]:
    """Return what a run is at, as `now_path` has it; nothing if it does not say."""
    try:
        now = json.loads(now_path(run).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return now if isinstance(now, dict) else {}


def last_words(run: Path) -> dict[str, Words]:
    """Return the last words of the parts of a run, by the names of their logs."""
    found = {path.stem: _words(path) for path in sorted((run / "logs").glob("*.log"))}
    return {name: words for name, words in found.items() if words is not None}


def seat_states(
    state: str, now: Mapping[str, Any], rows: Sequence[Row], words: Mapping[str, Words]
) -> Iterator[SeatState]:
    """Yield the seats that anything tells of; `state` is that of the run."""
    last: Row = next(reversed(of_kind(rows, "round")), {})
    reports, missing, rejected = last.get("seats", {}), last.get("missing", []), last.get("rejected", {})
    logs = {found[1]: each for name, each in words.items() if (found := _SEAT_LOG.fullmatch(name))}
    named = {*map(str, reports), *map(str, missing), *map(str, rejected)}
    teams = _teams(named)
    waiting = {teams.key(number) for number in now.get("waiting-for") or []}
    for key in sorted({*named, *waiting, *logs}, key=_order):
        said = rejected.get(key)
        if state == RUNNING and key in waiting:
            is_at = "waited for"
        elif said is not None:
            is_at = f"left out of round {last['round']}: {said}"
        elif key in map(str, missing):
            is_at = f"missing in round {last['round']}"
        elif state == RUNNING:
            is_at = f"plays round {now['round']}" if "round" in now else "ready"
        else:
            is_at = state
        weight = last.get("shared", {}).get(f"weight/{key}")
        team, seat = _order(key)
        yield SeatState(seat, is_at, reports.get(key, {}), weight, logs.get(key), team if teams.count > 1 else None)


def _teams(keys: Collection[str]) -> Teams:
    """Return the teams whose members have these keys (`Teams.key`), as far as the keys tell."""
    members = [Member.parse(key) for key in keys if ":" in key]
    if not members:
        return ONE_TEAM
    return Teams(1 + max(member.team for member in members), 1 + max(member.seat for member in members))


def _order(key: str) -> tuple[int, int]:
    """Return team and seat of a member's key; team 0 where it names none."""
    team, _, seat = key.rpartition(":")
    return int(team or 0), int(seat)


def _words(path: Path) -> Words | None:
    """Return the last line of a log that says something."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            text = file.read().decode("utf-8", errors="replace")
            when = os.fstat(file.fileno()).st_mtime
    except OSError:
        return None
    lines = [line.strip() for line in _COLOUR.sub("", text).splitlines()]
    said = [line for line in lines if not _SAYS_NOTHING.fullmatch(line)]
    return Words(said[-1][-_LONGEST:], when) if said else None
