"""Lock files: of the processes on a machine one has a lock (flock), which ends with it if nothing else ends it.

On a file system without locks, every process gets the lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE = 0.1  # seconds between two tries


class InUseError(Exception):
    """Another process has the lock; the message says of what, and what to do."""


def lock(path: Path, mode: int = 0o600) -> int | None:
    """Lock a file, made (with `mode`) if it is not there; None if another process has it locked.

    Returns the descriptor to close. The lock lasts until that is done here and in every process that has inherited it.
    Raises OSError if the file can be neither opened nor made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    if _locked(descriptor, fcntl.LOCK_EX):
        return descriptor
    os.close(descriptor)
    return None


@contextmanager
def locked(path: Path, in_use: str, limit: float = 0.0, mode: int = 0o600) -> Iterator[int]:
    """Hold the lock of a file as `lock` does, and yield the descriptor.

    Raises InUseError with the message `in_use` if another process still has it after `limit` seconds, OSError.
    """
    deadline = time.monotonic() + limit
    while (descriptor := lock(path, mode)) is None:
        if time.monotonic() >= deadline:
            raise InUseError(in_use)
        time.sleep(_PAUSE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Say whether a process has a file locked. It is not made, and may be another user's; one there is not is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here
        return True
    return True
