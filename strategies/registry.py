"""Strategies by name, found by the entry points of installed packages."""

import inspect
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from operations.suggestions import did_you_mean
from strategies.own_settings import Setting, joined, parse_pairs, parse_settings, written
from strategies.settings import SharingSettings
from strategies.sharing import Sharing

GROUP = "pps_qmix.strategies"


class UnusableStrategyError(ValueError):
    """A strategy cannot be used; the message is one line that names it and says why."""


class UnknownStrategyError(UnusableStrategyError):
    """No installed package provides a strategy of this name; the text lists those that exist."""


def strategy_names() -> list[str]:
    """Name every installed strategy, in alphabetical order, without importing any."""
    return sorted(set(entry_points(group=GROUP).names))


def describe(name: str) -> str:
    """Return the first line of a strategy's docstring. Raises UnusableStrategyError."""
    return (inspect.getdoc(_load(name)) or "").partition("\n")[0]


def own_settings(name: str) -> Sequence[Setting]:
    """Return the settings that a strategy declares itself. Raises UnusableStrategyError."""
    return _load(name).own_settings


def settings_text(name: str, *texts: str) -> str:
    """Return the values of all settings that a strategy declares, in one form; a later text goes over an earlier one.

    Raises UnusableStrategyError, and ValueError if a text does not fit the declared settings.
    """
    pairs = {setting: value for text in texts for setting, value in parse_pairs(text).items()}
    values = parse_settings(own_settings(name), pairs)
    return joined({setting: written(value) for setting, value in values.items()})


def create_strategy(name: str, settings: SharingSettings) -> Sharing:
    """Create the strategy of this name.

    Raises UnusableStrategyError if there is none, if two packages provide different ones, if importing or creating it
    raises, or if it is not a usable subclass of Sharing.
    """
    strategy = _load(name)
    try:
        created = strategy(settings)
    except Exception as error:
        raise UnusableStrategyError(f'strategy "{name}" cannot be created: {_last_line(error)}') from error
    if not hasattr(created, "_agents"):
        raise UnusableStrategyError(
            f'strategy "{name}" cannot be created: call super().__init__(settings) in {strategy.__name__}.__init__'
        )
    return created


def _load(name: str) -> type[Sharing]:
    found = _find(name)
    try:
        strategy = found.load()
    except Exception as error:  # whatever a package's import raises
        raise UnusableStrategyError(
            f'strategy "{name}" ({found.value}) cannot be imported: {_last_line(error)}; '
            f"correct the package{_package_of(found)}, or uninstall it"
        ) from error
    if not (inspect.isclass(strategy) and issubclass(strategy, Sharing)):
        raise UnusableStrategyError(
            f'strategy "{name}" ({found.value}) is not a subclass of strategies.sharing.Sharing'
        )
    declared = [getattr(setting, "name", None) for setting in strategy.own_settings]
    if None in declared or len(set(declared)) < len(declared):
        raise UnusableStrategyError(
            f'strategy "{name}": {strategy.__name__}.own_settings must hold Setting objects with different names'
        )
    return strategy


def _find(name: str) -> EntryPoint:
    # By value: an editable install and a wheel of the same package register the same strategy twice.
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=name)}
    if not found:
        names = strategy_names()
        installed = ", ".join(names) or "none"
        raise UnknownStrategyError(f'unknown strategy "{name}"; installed: {installed}{did_you_mean(name, names)}')
    if len(found) > 1:
        raise UnusableStrategyError(f'strategy "{name}" is provided more than once: {", ".join(sorted(found))}')
    return next(iter(found.values()))


def _last_line(error: Exception) -> str:
    """Return an exception as the last line of its traceback has it."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def _package_of(entry: EntryPoint) -> str:
    return f" {entry.dist.name}" if entry.dist is not None else ""
