"""Bounds that every part of a federation keeps to."""

from __future__ import annotations

from typing import Final

LONGEST_WAIT: Final = 1e7  # seconds; Python cannot wait for any number of them
