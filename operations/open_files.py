"""How many files and connections a process may have open."""

from __future__ import annotations

import contextlib
import resource


def allow_open_files() -> None:
    """Let this process have as many files open as the system lets it: each seat needs one, and its buffer several."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
