"""A failure of the code of a strategy: told in one line, and another try would end in the same way."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from strategies.aggregate import StrategyFaultError
from strategies.sharing import Sharing

_MOST_CHARACTERS = 1000


class StrategyFailedError(Exception):
    """A strategy raised an exception or returned what cannot be used; the message says where and what."""


@contextmanager
def failures_of(strategy: Sharing, name: str) -> Iterator[None]:
    """Raise StrategyFailedError for an exception in the block, in which nothing but the strategy is called.

    `name` is the strategy's.
    """
    try:
        yield
    except StrategyFaultError as error:
        raise StrategyFailedError(f'strategy "{name}" failed: {error}') from error
    except Exception as error:
        said = " ".join(traceback.format_exception_only(error)[-1].split())[:_MOST_CHARACTERS]
        raise StrategyFailedError(f'strategy "{name}" failed{_place(strategy, error)}: {said}') from error


def _place(strategy: Sharing, error: Exception) -> str:
    """Return where in the file of the strategy's class it failed, as words; nothing where it failed elsewhere."""
    try:
        file = inspect.getfile(strategy.method)
    except (OSError, TypeError):
        return ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" in {frames[-1].name} ({file}:{frames[-1].lineno})" if frames else ""
