"""What a strategy keeps from one round to the next, in a form that a checkpoint can hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = dict[str, NDArray[Any] | int | float]
"""Name -> array or number."""

_KINDS = "biuf"  # of arrays: bool, int, unsigned, float


def checked_state(state: Mapping[str, object]) -> State:
    """Copy a state whose values can be kept: arrays of numbers, and numbers. Raises TypeError, naming the value."""
    if not isinstance(state, Mapping):
        raise TypeError(f"state is a {type(state).__name__}, expected a dict of arrays and numbers")
    checked: State = {}
    for name, value in state.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"state has the name {name!r}, expected a text")
        match value:
            case np.ndarray() if value.dtype.kind in _KINDS:
                checked[name] = np.array(value, order="C")
            case np.generic() if value.dtype.kind in _KINDS:
                checked[name] = value.item()
            case int() | float():
                checked[name] = value
            case np.ndarray():
                raise TypeError(f"state {name!r} is an array of {value.dtype}, expected an array of numbers")
            case _:
                raise TypeError(f"state {name!r} is a {type(value).__name__}, expected an array or a number")
    return checked


def merged(**parts: Mapping[str, NDArray[Any] | int | float]) -> State:
    """Return several states as one: value "x" of part "own" is named "own/x"."""
    return {f"{part}/{name}": value for part, state in parts.items() for name, value in state.items()}


def part_of(state: State, part: str) -> State:
    """Return one of the states that `merged` put together."""
    return {name.removeprefix(f"{part}/"): value for name, value in state.items() if name.startswith(f"{part}/")}
