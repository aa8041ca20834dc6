"""Files that a user names for a page or picture: refused before anything is played, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from operations.files import replacing
from operations.paths import real_path


@contextlib.contextmanager
def writer(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Give what writes the file `path`, whole or not at all. Raises OSError at once if that will not be possible."""
    with contextlib.ExitStack() as beside:
        with _naming(path):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            place = real_path(path)  # where a link leads: it is to stay one
            if place.is_symlink():  # in a circle
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            file = beside.enter_context(replacing(place))

        def write(content: bytes) -> None:
            with _naming(path):
                file.write(content)

        yield write
        with _naming(path):
            beside.close()  # here, so that it is named; after an error elsewhere nothing takes the file's place


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say what could not be written, and why."""
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}") from None
