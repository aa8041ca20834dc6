"""What the rules' options come down to in a battle: a record for compiled code.

No tuple: numba takes an argument apart at every call, and these would cost more than a small battle's step.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.rules import SMAC_RULES, Rules

_TYPES: Final = {bool: np.bool_, int: np.int64, float: np.float64}  # no texts: `weapons` is not for compiled code

# The options of `Rules` that are numbers or flags, under their names, and what a map and its rules say together.
_SETTLED: Final = ("own_pos",)
STEP_RULES: Final = np.dtype(
    [
        *(
            (name, _TYPES[type(default)])
            for name, default in dataclasses.asdict(SMAC_RULES).items()
            if type(default) in _TYPES
        ),
        *((name, np.bool_) for name in _SETTLED),
    ],
    align=True,
)


def step_rules(rules: Rules, *, own_pos: bool) -> NDArray[np.void]:
    """Return the rules as STEP_RULES [1]; `own_pos`: a seat sees its own place."""
    options = (getattr(rules, name) for name in STEP_RULES.names or () if name not in _SETTLED)
    return np.array([(*options, own_pos)], STEP_RULES)
