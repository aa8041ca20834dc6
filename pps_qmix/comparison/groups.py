"""Runs that differ in nothing but their seeds, and what they have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np

from pps_qmix.comparison.compared_run import ComparedRun
from server.report.charts import Curve
from server.report.words import method
from server.run_directory import MAY_CHANGE

_IN_THE_METHOD: Final = ("strategy", "base", "mixing", "centralised")
_MOST_POINTS: Final = 200  # of a group's mean


class Group(NamedTuple):
    """Runs of one map that are the same in all settings but the seed and those that change no battle."""

    name: str  # how it differs from the other groups of its map
    runs: list[ComparedRun]


def maps_of(runs: Iterable[ComparedRun]) -> dict[str, list[Group]]:
    """Return the groups of each map, both in the order of their first runs. Broken runs belong to none."""
    found: dict[str, dict[object, list[ComparedRun]]] = {}
    for run in runs:
        if run.settings:
            same = found.setdefault(str(run.settings["map"]), {})
            same.setdefault(tuple(sorted(_identity(run).items())), []).append(run)
    return {map_: _named(list(same.values())) for map_, same in found.items()}


def curve(run: ComparedRun) -> Curve:
    """Return the moving average of a run's tests."""
    return [(float(point.steps), point.smooth.share) for point in run.tests]


def mean_curve(curves: Sequence[Curve]) -> list[tuple[float, float, float, float]]:
    """Return (steps, mean, lowest, highest) of several curves, up to where the first of them ends.

    A curve is linear between its points, and before the first one as high as there. Curves without points do not count.
    """
    found = [np.asarray(each, np.float64) for each in curves if each]
    if not found:
        return []
    end = min(each[-1, 0] for each in found)
    steps = np.unique([x for x in chain.from_iterable(each[:, 0] for each in found) if x <= end])
    stride = math.ceil(len(steps) / _MOST_POINTS)
    steps = steps[(len(steps) - 1) % stride :: stride]  # the last one is among them
    heights = np.stack([np.interp(steps, each[:, 0], each[:, 1]) for each in found])
    columns = (steps, heights.mean(axis=0), heights.min(axis=0), heights.max(axis=0))
    return [(float(x), float(mean), float(low), float(high)) for x, mean, low, high in zip(*columns, strict=True)]


def _identity(run: ComparedRun) -> Mapping[str, str]:
    """Return what a run has in common with the other runs of its group."""
    settings = {name: str(value) for name, value in run.settings.items() if name not in MAY_CHANGE | {"seed"}}
    return {**settings, "simulator": str(run.simulator)}


def _named(groups: Sequence[list[ComparedRun]]) -> list[Group]:
    identities = [_identity(runs[0]) for runs in groups]
    names = dict.fromkeys(chain.from_iterable(identities))
    differing = [
        name
        for name in names
        if name not in _IN_THE_METHOD and len({identity.get(name) for identity in identities}) > 1
    ]
    return [
        Group(", ".join([method(runs[0].settings), *_values(identity, differing)]), runs)
        for runs, identity in zip(groups, identities, strict=True)
    ]


def _values(identity: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [f"{name} {identity.get(name) or 'none'}" for name in names]
