"""The results of a run: the evaluations of its metrics.jsonl, with the seconds they came after."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operations.files import replace_file
from operations.simulator import simulator_of
from pps_qmix.experiment.schedule import Entry, State
from pps_qmix.experiment.spec import METHOD_SETTINGS, PlannedRun

COLUMNS = (
    *("map", *METHOD_SETTINGS, "seed", "run", "simulator"),
    *("steps", "seconds", "won", "battles", "win-rate", "return-mean", "length-mean"),
)


class Evaluation(NamedTuple):
    """Greedy battles after `steps` environment steps and `seconds` of the run's own time."""

    steps: int
    seconds: float
    won: int
    battles: int
    return_mean: float
    length_mean: float

    @property
    def win_rate(self) -> float:
        return self.won / self.battles


class Result(NamedTuple):
    """A run and its evaluations so far, in order."""

    run: PlannedRun
    finished: bool
    evaluations: list[Evaluation]


def result(entry: Entry, rows: Sequence[Mapping[str, Any]]) -> Result:
    """Return what the rows of a run's metrics.jsonl say."""
    return Result(entry.run, entry.state is State.FINISHED, evaluations(rows))


def evaluations(rows: Sequence[Mapping[str, Any]]) -> list[Evaluation]:
    """Return the evaluations of whole rounds.

    Only rounds are timed: within one, seconds go with steps. What was played twice, because the run was cut, and the
    time between do not count.
    """
    rounds = [row for row in rows if row["kind"] == "round"]
    if not rounds:
        return []
    ends = [0, *(row["steps"] for row in rounds)]
    seconds = np.cumsum([0.0, *(row["seconds"]["round"] + row["seconds"]["aggregation"] for row in rounds)])
    return [
        Evaluation(
            row["steps"],
            float(np.interp(row["steps"], ends, seconds)),
            row["won"],
            row["battles"],
            row["return"],
            row["length"],
        )
        for row in rows
        if row["kind"] == "evaluation" and row["round"] <= rounds[-1]["round"]
    ]


def first_at(found: Sequence[Evaluation], win_rate: float) -> Evaluation | None:
    """Return the first evaluation with at least this win rate."""
    return next((each for each in found if each.win_rate >= win_rate), None)


def win_rates_at(found: Sequence[Evaluation], steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the win rate at given steps [P]: linear between evaluations, before the first one as at the first."""
    return np.interp(steps, [each.steps for each in found], [each.win_rate for each in found])


def measured_per_step(results: Sequence[Result]) -> dict[str, float]:
    """Return the seconds that an environment step took, for each map that has been played."""
    last = [(run.map, found[-1]) for run, _, found in results if found]
    return {
        map_: sum(each.seconds for m, each in last if m == map_) / sum(each.steps for m, each in last if m == map_)
        for map_, _ in last
    }


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """Write one row per evaluation, the file whole or not at all."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for run, _, found in results:
        who = (run.map, *run.method[1:], run.seed, run.name, simulator_of(run.settings.backend) or "")
        for each in found:
            rates = (f"{each.win_rate:.6g}", f"{each.return_mean:.6g}", f"{each.length_mean:.6g}")
            table.writerow((*who, each.steps, f"{each.seconds:.1f}", each.won, each.battles, *rates))
    replace_file(path, text.getvalue().encode())
