"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, or may work; the user should look at it
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to do unless it is ok."""

    check: str
    level: Level
    says: str


def ok(check: str, says: str) -> Finding:
    return Finding(check, Level.OK, says)


def warning(check: str, says: str) -> Finding:
    return Finding(check, Level.WARNING, says)


def failed(check: str, says: str) -> Finding:
    return Finding(check, Level.FAILED, says)
