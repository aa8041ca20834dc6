"""Results as the tables and figures need them: the finished runs of a map and a method, over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pps_qmix.experiment.results import Evaluation, Result, first_at, win_rates_at
from pps_qmix.experiment.spec import Method
from pps_qmix.experiment.statistics import OverSeeds, median_time, over_seeds


@dataclass(frozen=True)
class Cell:
    """A method on a map. `planned` counts seeds, `runs` holds the finished ones."""

    map: str
    method: Method
    planned: int
    runs: list[Result]

    def best(self) -> OverSeeds:
        """Return each run's best test win rate, over seeds."""
        return over_seeds([max(each.win_rate for each in run.evaluations) for run in self.runs])

    def final(self) -> OverSeeds:
        """Return each run's last test win rate, over seeds."""
        return over_seeds([run.evaluations[-1].win_rate for run in self.runs])

    def reached(self, win_rate: float) -> int:
        """Return how many runs ever had a test win rate."""
        return sum(first_at(run.evaluations, win_rate) is not None for run in self.runs)

    def steps_to(self, win_rate: float) -> float:
        """Return the environment steps until a test win rate was first there, median over seeds; inf: in most never."""
        return self._time_to(win_rate, lambda evaluation: evaluation.steps)

    def seconds_to(self, win_rate: float) -> float:
        """Return the seconds of a run until a test win rate was first there, median over seeds; inf: in most never."""
        return self._time_to(win_rate, lambda evaluation: evaluation.seconds)

    def curve(self) -> tuple[NDArray[np.int64], OverSeeds]:
        """Return steps [P] at which evaluations were due, and the test win rate there over seeds [P]."""
        settings = self.runs[0].run.settings
        due = np.arange(settings.evaluate_every, settings.total_steps, settings.evaluate_every)
        steps = np.append(due, settings.total_steps)
        return steps, over_seeds([win_rates_at(run.evaluations, steps) for run in self.runs])

    def _time_to(self, win_rate: float, clock: Callable[[Evaluation], float]) -> float:
        found = [first_at(run.evaluations, win_rate) for run in self.runs]
        return median_time([np.inf if each is None else clock(each) for each in found])


def cells(results: Iterable[Result], maps: Sequence[str], methods: Sequence[Method]) -> list[Cell]:
    """Return a cell for every map and method, map by map."""
    results = list(results)
    found = []
    for map_ in maps:
        for method in methods:
            here = [each for each in results if (each.run.map, each.run.method) == (map_, method)]
            done = [each for each in here if each.finished and each.evaluations]
            found.append(Cell(map_, method, len(here), done))
    return found
