"""How the simulator's functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from numba import config, njit

from envproxy.backend import BackendFailedError

if config.DISABLE_JIT:  # type: ignore[attr-defined, unused-ignore]
    raise BackendFailedError(
        "NUMBA_DISABLE_JIT is set: the simulator would not be compiled, and take hours for minutes; unset it"
    )

# _nrt: nothing here allocates, so numba need not count references to arrays, atomically, at every slice and call;
# steps take half the time. The option is numba's own and not documented.
_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "_nrt": False}

# A part of an entry point. Not cached by itself: an entry point's cache holds its parts. Inlined, because a call would
# hand over all the arrays of a MapFacts word by word: steps take half the time, compiling takes as long.
part = njit(forceinline=True, **_OPTIONS)


def entry(function: Callable[..., Any]) -> Any:
    """Compile what Python calls. It frees the GIL, so arenas run side by side in threads.

    Raises BackendFailedError if there is no folder for what is compiled.
    """
    try:
        return njit(cache=True, nogil=True, **_OPTIONS)(function)
    except RuntimeError as error:  # numba's own has no class of its own
        raise BackendFailedError(
            f"the compiled simulator cannot be kept ({error}); name a folder that can be written in NUMBA_CACHE_DIR"
        ) from None


def drop_stale(cache: str | None) -> None:
    """Remove from numba's `cache` folder, if it has one, what is older than the newest source of this package.

    numba looks only at the file of an entry point; without this an edit of a part would go unnoticed.
    """
    if cache is None:
        return
    newest = max(source.stat().st_mtime for source in Path(__file__).parent.rglob("*.py"))
    for index in Path(cache).glob("*.nbi"):
        with suppress(FileNotFoundError):  # another process is doing the same
            if index.stat().st_mtime < newest:
                index.unlink()
