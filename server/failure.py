"""How a run that fails says whether another try makes sense: of an exception, Flower passes on nothing but the text."""

from __future__ import annotations

_MARK = "needs you: "


class NeedsYouError(Exception):
    """The run cannot continue until the user changes something: another attempt would fail in the same way."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{_MARK}{reason}")
        self.reason = reason


def what_needs_you(details: str) -> str | None:
    """Return the reason of a NeedsYouError from what Flower says of a failed run; None if that failed otherwise."""
    _, marked, reason = details.partition(_MARK)
    return reason if marked else None
