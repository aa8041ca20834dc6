"""What a user probably meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_SHORT: Final = 3  # letters of a name in which one wrong letter is much
_ALIKE, _ALIKE_SHORT = 0.6, 0.5  # share of the letters that must agree: `3n` has one of the two of `3m`


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return the end of a message, `. Did you mean "x"?`, with the most similar of `known`; "" if none is similar.

    Case does not count.
    """
    folded = {each.casefold(): each for each in known}
    written = str(name).casefold()
    alike = _ALIKE_SHORT if len(written) <= _SHORT else _ALIKE
    close = difflib.get_close_matches(written, folded, n=1, cutoff=alike)
    return f'. Did you mean "{folded[close[0]]}"?' if close else ""
