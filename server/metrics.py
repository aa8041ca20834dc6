"""The rows of `metrics.jsonl` (docs/metrics.md): made of what the devices of a round report, and read as they appear.

A report has passed `strategies.figures`: its numbers are finite and in range. They can still be false, so where one
number for the team is wanted it is one that most agents report.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from operations.members import Teams
from server.run_directory import metrics_path, whole_rows
from strategies.messages import Report

_MINE = ("waiting", "acting", "learning")  # what an agent's time goes into
_OF_TEAMS = ("played", "battles", "win-rate", "return", "length")
_SPREAD = ("win-rate", "return")
_LEARNING = ("epsilon", "loss", "q-mean", "td-error", "grad-norm")


def steps_played(reports: Mapping[int, Report]) -> int:
    """Return the environment steps of a team's round; all seats that saw its end saw the same.

    `reports` has at least one.
    """
    steps: int = statistics.median_high(report["steps"] for report in reports.values())
    return steps


def round_row(
    round_: int, teams: Teams, steps: Sequence[int], reports: Mapping[int, Report], seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Return a round's row; what came of sharing is the caller's to add. `seconds` has "round" and "aggregation".

    `steps` are the environment steps of each team before the round, `reports` those of the members by number. With
    several teams the figures are the means over those that have reports; "teams" has those of each team, and "spread"
    the lowest and the highest.
    """
    each = {team: _team_figures(steps[team], own) for team, own in by_team(teams, reports).items()}
    after = [each[team]["steps"] if team in each else before for team, before in enumerate(steps)]
    busy = [_seconds(report) for report in reports.values()]
    row = {
        "kind": "round",
        "round": round_,
        "steps": sum(after) // len(after),
        **{name: _mean_of([figures[name] for figures in each.values()]) for name in _OF_TEAMS},
        "training-steps": _mean(reports, "training-steps"),
        **{name: _mean(reports, name) for name in _LEARNING},
        # Flower's part is what no agent was busy with: delivery, ClientApp starts, polling. With an overlap agents
        # begin before the server has heard of the round before: a round may be shorter here than it is for them.
        "seconds": {
            **seconds,
            "flower": max(0.0, seconds["round"] - min(busy)),
            **{part: _mean(reports, f"seconds-{part}") for part in _MINE},
        },
        "seats": {teams.key(number): _plain(report) for number, report in reports.items()},
    }
    return row if teams.count == 1 else {**row, **of_teams(each)}


def by_team(teams: Teams, reports: Mapping[int, Report]) -> dict[int, dict[int, Report]]:
    """Return the reports of each team that has any, in the order of the teams."""
    found: dict[int, dict[int, Report]] = {}
    for number, report in sorted(reports.items()):
        found.setdefault(teams.member(number).team, {})[number] = report
    return found


def of_teams(each: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a row has beside the means of several teams: the figures of each, and their spread."""
    spread = {}
    for name in _SPREAD:
        if values := [figures[name] for figures in each.values() if figures[name] is not None]:
            spread[name] = [min(values), max(values)]
    return {"teams": {str(team): dict(figures) for team, figures in each.items()}, "spread": spread}


class MetricsReader:
    """Reads the rows of a run that is played, each once."""

    def __init__(self, path: Path) -> None:
        """`path` is the run directory; it may not exist yet."""
        self._path = metrics_path(path)
        self._file: int | None = None  # inode: a run that resumes from a checkpoint rewrites the file
        self._read = 0  # bytes
        self._rows = 0  # in them

    def read_new(self) -> list[dict[str, Any]]:
        """Return complete rows since the last call; of a rewritten file, those beyond the number returned before."""
        try:
            with open(self._path, "rb") as file:
                status = os.fstat(file.fileno())
                seen = 0
                if status.st_ino != self._file or status.st_size < self._read:
                    self._file, self._read, seen, self._rows = status.st_ino, 0, self._rows, 0
                file.seek(self._read)
                added = file.read()
        except FileNotFoundError:
            return []
        whole = added[: added.rfind(b"\n") + 1]
        rows = whole_rows(whole.decode("utf-8", errors="replace"))
        self._read += len(whole)
        self._rows += len(rows)
        return rows[seen:]


def _team_figures(steps_before: int, reports: Mapping[int, Report]) -> dict[str, Any]:
    """Return what came of a round in one team; `reports` has at least one."""
    report = _middle(reports.values())
    battles, played = _battles(report), steps_played(reports)
    return {
        "steps": steps_before + played,
        "played": played,
        "battles": battles,
        "win-rate": _ratio(report["won"], battles),
        "return": _ratio(report["return-sum"], battles),
        "length": _ratio(played, battles),
    }


def _middle(reports: Iterable[Report]) -> Report:
    """Return the report that the round's sums are taken from: as many have seen more battles as have seen fewer.

    Of those that have seen as many, the one that has played most of them itself.
    """
    ordered = sorted(reports, key=lambda report: (_battles(report), report["battles"]))
    total = _battles(ordered[len(ordered) // 2])
    return [report for report in ordered if _battles(report) == total][-1]


def _battles(report: Report) -> int:
    return int(report["battles"] + report["missed"])


def _seconds(report: Report) -> float:
    """Return the seconds that the agent was busy."""
    return report["seconds-waiting"] + report["seconds-acting"] + report["seconds-learning"]


def _mean(reports: Mapping[int, Mapping[str, Any]], name: str) -> float | None:
    values = [float(report[name]) for report in reports.values() if name in report]
    return sum(values) / len(values) if values else None


def _mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are known; of one value, the value itself."""
    known = [value for value in values if value is not None]
    return None if not known else known[0] if len(known) == 1 else sum(known) / len(known)


def _ratio(value: float, battles: int) -> float | None:
    return float(value) / battles if battles else None


def _plain(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if not name.startswith("evaluate-")}
