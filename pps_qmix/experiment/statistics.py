"""Figures over seeds. All of the arithmetic is SciPy's, which the extra `experiment` installs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import bootstrap, trim_mean

CONFIDENCE = 0.95
_RESAMPLES = 2000
_SEED = 0  # the same results, the same interval


class OverSeeds(NamedTuple):
    """An interquartile mean and its confidence interval, each of the shape of one run's values [...]."""

    iqm: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def over_seeds(values: ArrayLike) -> OverSeeds:
    """Return what runs [S, ...] have in common: the interquartile mean and a percentile bootstrap interval over S.

    As Agarwal et al. (2021) propose for few runs, https://arxiv.org/abs/2108.13264. Below four seeds no quarter can be
    cut off and the interquartile mean is the mean; of one seed the interval is the value itself.
    """
    runs = np.asarray(values, np.float64)
    iqm = _iqm(runs, axis=0)
    if len(runs) < 2:
        return OverSeeds(iqm, iqm, iqm)
    found = bootstrap(
        (runs,),
        _iqm,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        axis=0,
        vectorized=True,
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return OverSeeds(iqm, np.asarray(found.low), np.asarray(found.high))


def _iqm(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.asarray(trim_mean(values, 0.25, axis=axis))


def median_time(times: ArrayLike) -> float:
    """Return the median over seeds of the time until something happened; inf where it never did."""
    return float(np.median(np.asarray(times, np.float64)))
