"""How the simulator's functions are compiled."""

from __future__ import annotations

from pathlib import Path

from numba import njit

# A part of an entry point. Not cached by itself: an entry point's cache holds its parts.
part = njit(error_model="numpy")

# What Python calls. It frees the GIL, so arenas run side by side in threads.
entry = njit(cache=True, nogil=True, error_model="numpy")


def drop_stale(cache: str) -> None:
    """Remove what was compiled before any source file of this package last changed.

    numba looks only at the file of an entry point; without this an edit of a part would go unnoticed.
    """
    newest = max(source.stat().st_mtime for source in Path(__file__).parent.rglob("*.py"))
    for index in Path(cache).glob("*.nbi"):
        if index.stat().st_mtime < newest:
            index.unlink(missing_ok=True)
