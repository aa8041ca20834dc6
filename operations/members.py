"""Members of a federation: a member is the agent of one seat of one team. Their numbers, and how texts name them.

A member's number counts through the teams, those of team 0 first: team * N + seat. With one team it is the seat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

_MANY: Final = 4  # numbers in a row: more are not named one by one
_TEXT: Final = re.compile(r"(\d{1,6}):(\d{1,6})")


class Member(NamedTuple):
    """One agent of a federation."""

    team: int
    seat: int

    @classmethod
    def parse(cls, text: str) -> Member:
        """Read "TEAM:SEAT". Raises ValueError."""
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"expected TEAM:SEAT, as 0:2, found {text!r}")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.team}:{self.seat}"


@dataclass(frozen=True)
class Teams:
    """The teams of a federation: how many there are, and of whom each consists."""

    count: int
    """T."""
    n_agents: int
    """N, of each team."""
    unit_types: tuple[str, ...] = ()
    """Of each seat; () where they are not known, or others in every battle."""

    @property
    def numbers(self) -> range:
        """Those of all members."""
        return range(self.count * self.n_agents)

    def of_team(self, team: int) -> range:
        """Return the numbers of a team's members, in seat order."""
        return range(team * self.n_agents, (team + 1) * self.n_agents)

    def number(self, member: Member) -> int:
        """Return a member's number."""
        return member.team * self.n_agents + member.seat

    def member(self, number: int) -> Member:
        """Return the member of a number."""
        return Member(0, number) if self.count == 1 else Member(*divmod(number, self.n_agents))

    def key(self, number: int) -> str:
        """Return what names a member in figures and files: its seat; with several teams TEAM:SEAT."""
        return str(number) if self.count == 1 else str(self.member(number))

    def named(self, numbers: Iterable[int], noun: str = "seat") -> str:
        """Name members for a reader, each once and in order: "seat 1", "seats 0, 2" or "team 1, seat 2".

        A team all of whose members are meant is named as a whole: "team 3".
        """
        each = sorted(set(numbers))
        if self.count == 1:
            return _listed(noun, each)
        by_team = {
            team: [number % self.n_agents for number in members]
            for team, members in groupby(each, lambda number: number // self.n_agents)
        }
        whole = [team for team, seats in by_team.items() if len(seats) == self.n_agents]
        parts = [f"team {team}, {_listed(noun, seats)}" for team, seats in by_team.items() if team not in whole]
        return "; ".join([*([_listed("team", whole)] if whole else []), *parts])

    def arenas(self, name: str) -> list[str]:
        """Return the name of each team's arena, where that of a single team would be `name`."""
        return [name] if self.count == 1 else [f"{name}-{team}" for team in range(self.count)]


ONE_TEAM: Final = Teams(1, 0)
"""One team, whose size does not matter where its members are only named."""


def _listed(noun: str, numbers: list[int]) -> str:
    """Return sorted numbers as text; many in a row are named by the first and the last: "teams 0, 3 to 333"."""
    parts: list[str] = []
    for _, row in groupby(enumerate(numbers), lambda each: each[1] - each[0]):
        found = [number for _, number in row]
        parts += [f"{found[0]} to {found[-1]}"] if len(found) > _MANY else map(str, found)
    return f"{noun}{'s' if len(numbers) > 1 else ''} {', '.join(parts)}"
