"""How many cores there are."""

from __future__ import annotations

import os

import psutil


def cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(psutil.Process(), "cpu_affinity", None)  # not on macOS
    return len(affinity()) if affinity else os.cpu_count() or 1
