"""The rows of `metrics.jsonl` (docs/metrics.md): made of what the devices of a round report, and read as they appear.

A report has passed `strategies.figures`: its numbers are finite and in range. They can still be false, so where one
number for the team is wanted it is one that most agents report.
"""

from __future__ import annotations

import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from server.run_directory import metrics_path, whole_rows
from strategies.messages import Report

_MINE = ("waiting", "acting", "learning")  # what an agent's time goes into
_LEARNING = ("epsilon", "loss", "q-mean", "td-error", "grad-norm")


def steps_played(reports: Mapping[int, Report]) -> int:
    """Return the environment steps of a round; all seats that saw its end saw the same. `reports` has at least one."""
    steps: int = statistics.median_high(report["steps"] for report in reports.values())
    return steps


def round_row(
    round_: int, steps_before: int, reports: Mapping[int, Report], seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Return a round's row; what came of sharing is the caller's to add. `seconds` has "round" and "aggregation"."""
    report = _middle(reports.values())
    battles, played = _battles(report), steps_played(reports)
    busy = [_seconds(report) for report in reports.values()]
    return {
        "kind": "round",
        "round": round_,
        "steps": steps_before + played,
        "played": played,
        "battles": battles,
        "win-rate": _ratio(report["won"], battles),
        "return": _ratio(report["return-sum"], battles),
        "length": _ratio(played, battles),
        "training-steps": _mean(reports, "training-steps"),
        **{name: _mean(reports, name) for name in _LEARNING},
        # Flower's part is what no agent was busy with: delivery, ClientApp starts, polling. With an overlap agents
        # begin before the server has heard of the round before: a round may be shorter here than it is for them.
        "seconds": {
            **seconds,
            "flower": max(0.0, seconds["round"] - min(busy)),
            **{part: _mean(reports, f"seconds-{part}") for part in _MINE},
        },
        "seats": {str(seat): _plain(report) for seat, report in reports.items()},
    }


def evaluation_rows(round_: int, steps_before: int, reports: Mapping[int, Report]) -> list[dict[str, Any]]:
    """Return one row for each evaluation of the round; what most say of it counts.

    It is one if at least half of the seats that saw any to its end say so: no device makes one up.
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
        _evaluation(round_, steps, *votes.most_common(1)[0][0])
        for steps, votes in sorted(said.items())
        if 2 * votes.total() >= witnesses
    ]


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


def _evaluation(round_: int, steps: int, battles: float, won: float, return_: float, length: float) -> dict[str, Any]:
    return {
        "kind": "evaluation",
        "round": round_,
        "steps": steps,
        "battles": int(battles),
        "won": int(won),
        "win-rate": won / battles,
        "return": float(return_),
        "length": float(length),
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


def _ratio(value: float, battles: int) -> float | None:
    return float(value) / battles if battles else None


def _plain(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if not name.startswith("evaluate-")}
