"""Random numbers of one battle: splitmix64, so that a battle's luck is a function of its seed alone."""

from __future__ import annotations

from typing import Final

import numpy as np

from envproxy.backends.skirmish.records import Progress
from operations.compiled import part

_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_SHIFT_1: Final = np.uint64(30)
_SHIFT_2: Final = np.uint64(27)
_SHIFT_3: Final = np.uint64(31)
_TO_53_BITS: Final = np.uint64(11)
_ULP: Final = 2.0**-53


@part
def uniform(progress: Progress, low: float, high: float) -> float:
    """Draw from [low, high) and advance the battle's generator."""
    progress.rng += _GAMMA
    bits = progress.rng
    bits = (bits ^ (bits >> _SHIFT_1)) * _MIX_1
    bits = (bits ^ (bits >> _SHIFT_2)) * _MIX_2
    bits ^= bits >> _SHIFT_3
    return low + (high - low) * (np.float64(bits >> _TO_53_BITS) * _ULP)
