"""Bounds that every part of a federation keeps to."""

from __future__ import annotations

from typing import Final

LONGEST_WAIT: Final = 1e7  # seconds; Python cannot wait for any number of them
MOST_AT_ONCE: Final = 1024  # battles in parallel, threads
ARENA_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # tokens are in a folder of this name
MOST_TEAMS: Final = 1024  # of a federation
