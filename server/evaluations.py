"""Evaluations: what the members of a team say of them, and the rows that put those of all teams together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Self

from server.metrics import of_teams, steps_played
from strategies.messages import Report


class Evaluation(NamedTuple):
    """Greedy battles of one team, at so many of its environment steps."""

    steps: int
    battles: int
    won: int
    return_: float
    length: float

    def figures(self) -> dict[str, Any]:
        """Return them as a row of metrics.jsonl has them."""
        return {
            "steps": self.steps,
            "battles": self.battles,
            "won": self.won,
            "win-rate": self.won / self.battles,
            "return": self.return_,
            "length": self.length,
        }


def evaluations_of(steps_before: int, reports: Mapping[int, Report]) -> list[Evaluation]:
    """Return the evaluations of one team's round, in order; what most of its members say counts.

    It is one if at least half of the members that saw any to its end say so: no device makes one up. `reports` has at
    least one.
    """
    said: defaultdict[int, Counter[tuple[float, ...]]] = defaultdict(Counter)
    witnesses = 0
    steps_after = steps_before + steps_played(reports)
    for report in reports.values():
        witnesses += "evaluate-steps" in report
        columns = [
            report.get("evaluate-steps", []),
            report.get("evaluate-battles", []),
            report.get("evaluate-won", []),
            report.get("evaluate-return", []),
            report.get("evaluate-length", []),
        ]
        ballots = {steps: tuple(figures) for steps, *figures in zip(*columns, strict=True)}  # one for each evaluation
        for steps, figures in ballots.items():
            if steps_before <= steps <= steps_after:
                said[steps][figures] += 1
    return [
        _evaluation(steps, *votes.most_common(1)[0][0])
        for steps, votes in sorted(said.items())
        if 2 * votes.total() >= witnesses
    ]


class Evaluations:
    """The evaluations of a run's teams, each a row once all teams that take part have come to it.

    Teams collect as many battles in a round, of other lengths, so they reach an evaluation in different rounds. Its
    number is the one by which devices count (`client.plan`): how often `evaluate-every` fits into the steps, and one
    more at the end of the run.
    """

    def __init__(self, teams: int, every: int, total_steps: int) -> None:
        """`every` is the setting evaluate-every; `total_steps` are of a team."""
        self._several = teams > 1
        self._every, self._total = every, total_steps
        self._waiting: dict[int, dict[int, Evaluation]] = {}  # number -> team -> what is in no row yet
        self._reached: dict[int, int] = {}  # team -> the number of its newest
        self._told = -1  # the number of the newest in a row

    def add(self, team: int, found: Collection[Evaluation]) -> None:
        """Take in a team's evaluations of a round."""
        for each in found:
            number = self._number(each)
            self._reached[team] = max(number, self._reached.get(team, -1))
            if number > self._told:  # the others have not waited for a team that was away
                self._waiting.setdefault(number, {})[team] = each

    def rows(self, round_: int, playing: Collection[int]) -> list[dict[str, Any]]:
        """Return the rows of the evaluations that none of the teams `playing` is still to come to, in order."""
        rows = []
        for number in sorted(self._waiting):
            each = self._waiting[number]
            if any(team not in each and self._reached.get(team, -1) <= number for team in playing):
                break
            rows.append(self._row(round_, dict(sorted(self._waiting.pop(number).items()))))
            self._told = number
        return rows

    def state(self) -> dict[str, Any]:
        """Return what `restored` takes, for JSON."""
        waiting = {
            number: {team: list(each) for team, each in found.items()} for number, found in self._waiting.items()
        }
        return {"waiting": waiting, "reached": self._reached, "told": self._told}

    def restored(self, state: Mapping[str, Any]) -> Self:
        """Continue from what `state` returned; return this object."""
        self._waiting = {
            int(number): {int(team): Evaluation(*each) for team, each in found.items()}
            for number, found in state["waiting"].items()
        }
        self._reached = {int(team): int(number) for team, number in state["reached"].items()}
        self._told = int(state["told"])
        return self

    def _number(self, found: Evaluation) -> int:
        """Return the number of an evaluation; a single team's need not meet others', and go by their steps."""
        if not self._several:
            return found.steps
        return found.steps // self._every + (found.steps >= self._total)

    def _row(self, round_: int, each: Mapping[int, Evaluation]) -> dict[str, Any]:
        found = list(each.values())
        if len(found) == 1:
            together = found[0]
        else:
            n = len(found)
            together = Evaluation(
                steps=sum(one.steps for one in found) // n,
                battles=sum(one.battles for one in found),
                won=sum(one.won for one in found),
                return_=sum(one.return_ for one in found) / n,
                length=sum(one.length for one in found) / n,
            )
        row = {"kind": "evaluation", "round": round_, **together.figures()}
        return {**row, **of_teams({team: one.figures() for team, one in each.items()})} if self._several else row


def _evaluation(steps: int, battles: float, won: float, return_: float, length: float) -> Evaluation:
    return Evaluation(steps, int(battles), int(won), float(return_), float(length))
