"""Unix sockets at any path: one may be longer than the system takes, and gRPC takes it as addresses in a URI."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

LONGEST_PATH = 104  # bytes; what the shortest of the common systems allows
_DESCRIPTORS = Path("/proc/self/fd")  # Linux: a path here leads on from an open folder


def can_listen(path: Path) -> bool:
    """Say whether a socket can have this absolute path here."""
    return _goes_by_itself(path) or _DESCRIPTORS.is_dir()


@contextmanager
def reached(path: Path) -> Iterator[Path]:
    """Yield a path that a socket can have and that leads to its place while the block lasts, in this process alone.

    It is the path itself where that has at most 104 bytes and no comma. Raises OSError if it is another and the folder
    cannot be opened, or the system has no other way to it.
    """
    if _goes_by_itself(path):
        yield path
        return
    if not _DESCRIPTORS.is_dir():
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _DESCRIPTORS / str(folder) / path.name
    finally:
        os.close(folder)


def grpc_target(path: Path) -> str:
    """Return what gRPC calls the socket at a path, to listen and to connect."""
    return f"unix:{quote(os.fsencode(path))}"


def _goes_by_itself(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_PATH and "," not in str(path)  # gRPC looks for a second address there
