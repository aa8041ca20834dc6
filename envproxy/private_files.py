"""Files for their owner alone: keys and tokens. They are written whole or not at all, and their mode is never wider."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def create_private(path: Path, content: bytes) -> None:
    """Write a file that is not there yet (mode 0600). Raises FileExistsError if it is, OSError if that fails."""
    with _written_beside(path, content) as temporary:
        os.link(temporary, path)


def replace_private(path: Path, content: bytes) -> None:
    """Write a file, in the place of one that may be there (mode 0600). Raises OSError if that fails."""
    with _written_beside(path, content) as temporary:
        os.replace(temporary, path)


def make_private_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; the last one is for its owner alone (mode 0700)."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


@contextmanager
def _written_beside(path: Path, content: bytes) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
