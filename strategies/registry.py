"""Strategies by name, found by the entry points of installed packages."""

import difflib
import inspect
from importlib.metadata import EntryPoint, entry_points

from strategies.settings import SharingSettings
from strategies.sharing import Sharing

GROUP = "pps_qmix.strategies"


class UnknownStrategyError(ValueError):
    """No installed package provides a strategy of this name; the text lists those that exist."""


def strategy_names() -> list[str]:
    """Name every installed strategy, in alphabetical order, without importing any."""
    return sorted(entry_points(group=GROUP).names)


def describe(name: str) -> str:
    """Return the first line of a strategy's docstring.

    Raises as `create_strategy` does.
    """
    return (inspect.getdoc(_load(name)) or "").partition("\n")[0]


def create_strategy(name: str, settings: SharingSettings) -> Sharing:
    """Create the strategy of this name.

    Raises UnknownStrategyError if there is none, ValueError if two packages provide different ones, TypeError if what
    is registered is no subclass of Sharing, and whatever importing it raises.
    """
    return _load(name)(settings)


def _load(name: str) -> type[Sharing]:
    found = _find(name)
    strategy = found.load()
    if not (inspect.isclass(strategy) and issubclass(strategy, Sharing)):
        raise TypeError(f'strategy "{name}" ({found.value}) is not a subclass of strategies.sharing.Sharing')
    return strategy


def _find(name: str) -> EntryPoint:
    # By value: an editable install and a wheel of the same package register the same strategy twice.
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=name)}
    if not found:
        names = strategy_names()
        close = difflib.get_close_matches(name, names, n=1)
        suggestion = f' Did you mean "{close[0]}"?' if close else ""
        raise UnknownStrategyError(f'unknown strategy "{name}"; installed: {", ".join(names) or "none"}.{suggestion}')
    if len(found) > 1:
        raise ValueError(f'strategy "{name}" is provided more than once: {", ".join(sorted(found))}')
    return next(iter(found.values()))
