"""What a user probably meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return the end of a message, `. Did you mean "x"?`, with the most similar of `known`; "" if none is similar.

    Case does not count.
    """
    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1)
    return f'. Did you mean "{folded[close[0]]}"?' if close else ""
