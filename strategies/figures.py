"""The figures of a round that a device reports beside its tensors and its reward buffer, checked on their way in."""

from collections.abc import Callable
from typing import Any, Final

from flwr.app import MetricRecord

# As docs/metrics.md has them.
COUNTS: Final = ("steps", "battles", "missed", "won", "training-steps", "buffered")
NUMBERS: Final = ("return-sum", "epsilon", "seconds-waiting", "seconds-acting", "seconds-learning")
LEARNING: Final = ("loss", "q-mean", "td-error", "grad-norm")  # not there before the first training step
EVALUATIONS: Final = ("evaluate-steps", "evaluate-battles", "evaluate-won", "evaluate-return", "evaluate-length")
REWARDS: Final = ("seat", "reward-sum", "reward-battles")  # `strategies.update` looks at these

_KNOWN: Final = frozenset((*COUNTS, *NUMBERS, *LEARNING, *EVALUATIONS, *REWARDS))
_MOST_EVALUATIONS: Final = 10_000  # in one round
_LARGEST: Final = 1e30


def wrong_figure(metrics: MetricRecord, most_return: float) -> str | None:
    """Return what is wrong with a report, None if all can be read: a number, a count or lists that fit each other.

    `most_return` is what a battle returns at most, and at least its negative.
    """
    if unknown := sorted(metrics.keys() - _KNOWN):
        return f"metrics unknown: {', '.join(unknown[:10])}"
    for name in COUNTS:
        if not _is_count(metrics.get(name)):
            return f'metric "{name}" is {_shown(metrics.get(name))}, expected an integer of at least 0'
    for name in (*NUMBERS, *(name for name in LEARNING if name in metrics)):
        if not _is_finite(metrics.get(name)):
            return f'metric "{name}" is {_shown(metrics.get(name))}, expected a finite number'
    return _wrong_evaluation(metrics, most_return) if any(name in metrics for name in EVALUATIONS) else None


def diverged_figure(metrics: MetricRecord) -> str | None:
    """Return what is wrong with a figure of learning that is a number, but not a finite one; None if there is none."""
    for name in LEARNING:
        value = metrics.get(name)
        if isinstance(value, int | float) and not _is_finite(value):
            return f'metric "{name}" is {_shown(value)}, expected a finite number'
    return None


def _wrong_evaluation(metrics: MetricRecord, most_return: float) -> str | None:
    steps = metrics.get("evaluate-steps")
    length = len(steps) if isinstance(steps, list) else 0
    if not 0 < length <= _MOST_EVALUATIONS:
        return f'metric "evaluate-steps" is {_shown(steps)}, expected a list of 1 to {_MOST_EVALUATIONS} numbers'
    for name in EVALUATIONS:
        each: Callable[[Any], bool] = _is_finite if name in ("evaluate-return", "evaluate-length") else _is_count
        values = metrics.get(name)
        if not (isinstance(values, list) and len(values) == length and all(map(each, values))):
            return f'metric "{name}" is {_shown(values)}, expected {length} numbers, one for each of "evaluate-steps"'
    battles, won = metrics["evaluate-battles"], metrics["evaluate-won"]
    if any(not 0 <= w <= b or b == 0 for w, b in zip(won, battles, strict=True)):  # type: ignore[arg-type]
        return f'metric "evaluate-won" is {_shown(won)} of {_shown(battles)} battles'
    returns = metrics["evaluate-return"]
    if any(abs(each) > most_return for each in returns):  # type: ignore[union-attr]
        return f'metric "evaluate-return" is {_shown(returns)}, expected at most max-return ({most_return:g}) for each'
    return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _is_finite(value: object) -> bool:
    """As a float32, which is what TensorBoard and pictures are made of."""
    return isinstance(value, int | float) and abs(value) <= _LARGEST


def _shown(value: object) -> str:
    return repr(value if not isinstance(value, list) else value[:5])[:100]
