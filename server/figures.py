"""The figures of a round: of what its devices report, the rows of `metrics.jsonl` (docs/metrics.md). Pure functions.

A report has passed `strategies.figures`: its numbers can be reckoned with. They can still be lies, so where one number
of all is wanted it is one that most agents vouch for.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

Report = dict[str, Any]  # the metrics of one agent's reply

_MINE = ("waiting", "acting", "learning")  # what an agent's time goes into
_LEARNING = ("epsilon", "loss", "q-mean", "td-error", "grad-norm")


def steps_played(reports: Mapping[int, Report]) -> int:
    """Return the environment steps of a round; whoever saw its end saw the same. `reports` has at least one."""
    steps: int = statistics.median_high(report["steps"] for report in reports.values())
    return steps


def round_row(round_: int, steps_before: int, reports: Mapping[int, Report], seconds: Mapping[str, float]) -> Report:
    """Return a round's row; what came of sharing is the caller's to add. `seconds` has "round" and "aggregation"."""
    report = _middle(reports.values())
    battles, played = _battles(report), steps_played(reports)
    busy = [sum(float(report[f"seconds-{part}"]) for part in _MINE) for report in reports.values()]
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
        # Flower's part is what no agent was busy with: delivery, ClientApp starts, polling
        "seconds": {
            **seconds,
            "flower": seconds["round"] - min(busy),
            **{part: _mean(reports, f"seconds-{part}") for part in _MINE},
        },
        "seats": {str(seat): _plain(report) for seat, report in reports.items()},
    }


def evaluation_rows(round_: int, steps_before: int, reports: Mapping[int, Report]) -> list[Report]:
    """Return one row for each evaluation of the round; what most say of it counts.

    It is one if at least half of the seats that saw any to its end say so: no device makes one up.
    """
    said: defaultdict[int, Counter[tuple[float, ...]]] = defaultdict(Counter)
    witnesses = 0
    steps_after = steps_before + steps_played(reports)
    for report in reports.values():
        witnesses += "evaluate-steps" in report
        columns = [report.get(f"evaluate-{name}", []) for name in ("steps", "battles", "won", "return", "length")]
        ballots = {steps: tuple(figures) for steps, *figures in zip(*columns, strict=True)}  # one for each evaluation
        for steps, figures in ballots.items():
            if steps_before <= steps <= steps_after:
                said[steps][figures] += 1
    return [
        _evaluation(round_, steps, *votes.most_common(1)[0][0])
        for steps, votes in sorted(said.items())
        if 2 * votes.total() >= witnesses
    ]


def _evaluation(round_: int, steps: int, battles: float, won: float, return_: float, length: float) -> Report:
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


def _mean(reports: Mapping[int, Report], name: str) -> float | None:
    values = [float(report[name]) for report in reports.values() if name in report]
    return sum(values) / len(values) if values else None


def _ratio(value: float, battles: int) -> float | None:
    return float(value) / battles if battles else None


def _plain(report: Report) -> Report:
    return {name: value for name, value in report.items() if not name.startswith("evaluate-")}
