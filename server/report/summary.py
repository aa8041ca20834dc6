"""The figures of a run that a reader asks for first. Pure functions of the rows of metrics.jsonl."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from server.report.words import percent

_Z = 1.96  # of a 95 % interval
LAST = 10  # evaluations whose mean is told
WINDOW = 5  # evaluations in a moving average

Row = Mapping[str, Any]


class Rate(NamedTuple):
    """Battles won of battles played."""

    won: int
    battles: int

    @property
    def share(self) -> float:
        return self.won / self.battles

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of Wilson (1927) for the share: battles are independent trials."""
        n, p = self.battles, self.share
        centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        return max(0.0, centre - half), min(1.0, centre + half)


class Point(NamedTuple):
    """An evaluation, and the battles of it and of those before it that a moving average takes together."""

    steps: int
    own: Rate
    smooth: Rate
    teams: tuple[float, float] | None = None  # of several: means of the lowest and the highest win rate of a team

    @property
    def band(self) -> tuple[float, float]:
        """What is drawn around the moving average: the spread of the teams, of a single one the 95 % interval."""
        return self.teams or self.smooth.interval


def of_kind(rows: Iterable[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["kind"] == kind]


def team_size(rounds: Iterable[Row]) -> int | None:
    """Return the number of agents of a team, from the seats that any round names; None before the first."""
    members = (str(member) for row in rounds for member in (*row["seats"], *row["missing"], *row["rejected"]))
    seats = {int(member.rpartition(":")[2]) for member in members}
    return max(seats) + 1 if seats else None


def together(evaluations: Iterable[Row]) -> Rate:
    """Return the battles of several evaluations as one."""
    found = list(evaluations)
    return Rate(sum(row["won"] for row in found), sum(row["battles"] for row in found))


def points(evaluations: Sequence[Row]) -> list[Point]:
    """Return the evaluations with their moving average over up to WINDOW of them, the newest last."""
    windows = [evaluations[max(0, number - WINDOW) : number] for number in range(1, len(evaluations) + 1)]
    return [
        Point(row["steps"], together([row]), together(window), _spread(window))
        for row, window in zip(evaluations, windows, strict=True)
    ]


def _spread(evaluations: Sequence[Row]) -> tuple[float, float] | None:
    """Return the means of the lowest and of the highest win rate of a team; None for a single team."""
    found = [row["spread"]["win-rate"] for row in evaluations if "spread" in row]
    if not found:
        return None
    low, high = (sum(each) / len(found) for each in zip(*found, strict=True))
    return low, high


def spread_of(row: Row, name: str) -> str:
    """Return the lowest and the highest of several teams in a figure of a row, as " (teams 25 to 75 %)"; else ""."""
    low, high = row.get("spread", {}).get(name, (None, None))
    if low is None:
        return ""
    return f" (teams {100 * low:.0f} to {percent(high)})" if name == "win-rate" else f" (teams {low:.2f} to {high:.2f})"


def told(rate: Rate) -> str:
    """Return a rate as a command says it: `88 % (28 of 32, 95 % interval 72 to 95 %)`."""
    low, high = rate.interval
    interval = f"95 % interval {100 * low:.0f} to {percent(high)}"
    return f"{percent(rate.share)} ({rate.won} of {rate.battles}, {interval})"


def last_whole_round(rounds: Sequence[Row]) -> Row | None:
    """Return the newest round that the run's end did not cut: it has nine tenths of the most training steps.

    Battles do not tell: in the first round the agents also fill their buffers.
    """
    steps = [row.get("training-steps") or 0.0 for row in rounds]
    usual = max(steps, default=0.0)
    found = (row for row, trained in zip(reversed(rounds), reversed(steps), strict=True) if trained >= 0.9 * usual)
    return next(found, None)


def whole_rounds(rounds: Sequence[Row]) -> Sequence[Row]:
    """Return the rounds without those at the end that were cut: their figures are of a few steps."""
    last = last_whole_round(rounds)
    return [row for row in rounds if last is None or row["round"] <= last["round"]]


def played_seconds(rounds: Iterable[Row]) -> float:
    """Return the seconds that the rounds took, with their aggregations: without pauses between two calls."""
    return float(sum(row["seconds"].get("round", 0.0) + row["seconds"].get("aggregation", 0.0) for row in rounds))


def mean_seconds(rows: Iterable[Row]) -> dict[str, float]:
    """Return the mean seconds of a round by part."""
    rounds = [row["seconds"] for row in of_kind(rows, "round")]
    return {name: sum(seconds[name] for seconds in rounds) / len(rounds) for name in rounds[0]} if rounds else {}


def result_of(rows: Iterable[Row]) -> dict[str, str]:
    """Return what a command says at a run's end: test win rates, the steadiest first; rounds, steps."""
    rows = list(rows)
    evaluations, rounds = of_kind(rows, "evaluation"), of_kind(rows, "round")
    result = {}
    if evaluations:
        newest, best = evaluations[-LAST:], max(evaluations, key=lambda row: row["win-rate"])
        mean, last = together(newest), newest[-1]
        if len(newest) > 1:
            won = f"{mean.won:,} of {mean.battles:,} battles"
            result[f"mean of the last {len(newest)} tests"] = f"{percent(mean.share)} ({won})"
        spread = spread_of(last, "win-rate")
        result["last test win rate"] = f"{told(together([last]))}{spread} at step {last['steps']:,}"
        if len(evaluations) > 1:
            luckiest = f"at step {best['steps']:,}, the luckiest of {len(evaluations)}"
            result["single best test"] = f"{percent(best['win-rate'])} {luckiest}"
    if rounds:
        result["rounds"] = str(rounds[-1]["round"])
        result["environment steps"] = f"{rounds[-1]['steps']:,}"
    return result
