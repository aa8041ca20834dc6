"""Files for their owner alone: keys and tokens. They are written whole or not at all, and their mode is never wider."""

from __future__ import annotations

from pathlib import Path

from operations.files import create_file, replace_file

_OWNER_ALONE = 0o600


def create_private(path: Path, content: bytes) -> None:
    """Write a file that is not there yet (mode 0600). Raises FileExistsError if it is, OSError if that fails."""
    create_file(path, content, _OWNER_ALONE)


def replace_private(path: Path, content: bytes) -> None:
    """Write a file, in the place of one that may be there (mode 0600). Raises OSError if that fails."""
    replace_file(path, content, _OWNER_ALONE)


def make_private_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; the last one is for its owner alone (mode 0700)."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
