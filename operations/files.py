"""Files that are written whole or not at all, also where the machine loses its power; and texts that users wrote.

Each is written beside its place, under a name of its own: two who write the same file do not mix theirs. Only a process
that is killed meanwhile leaves such a file behind.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_SHOWN_OF_NAME = 50  # characters: a name may be as long as the system has any, and this one is longer
_CANNOT_SYNC = {
    errno.EACCES,
    errno.EINVAL,
    errno.ENOTSUP,
}  # the folder cannot be listed, or its file system cannot sync it


def read_text(path: Path) -> str:
    """Return a text that a user wrote: in UTF-8, or in UTF-16 if it begins with that byte order mark.

    Editors on Windows write such a mark, which does not belong to the text. Raises OSError, UnicodeDecodeError.
    """
    content = path.read_bytes()
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig")


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Yield a file to write; when the block ends it takes the place of `path`, unless the block has raised.

    Args:
        path: where the file is to be; what is there stays until then. Its folder must be there.
        mode: of the new file from its making on, less the umask.

    Raises:
        OSError: at once if what is there is no file (a device, say, or a pipe: what stood in its place would be lost),
            or no file can be made beside it; in the end if it cannot be written whole.
    """
    if os.path.lexists(path) and not (path.is_symlink() or path.is_file()):
        raise OSError(errno.EEXIST, "what is there is no file")
    with _beside(path, mode) as (temporary, file):
        yield file
        _sync(file)
        os.replace(temporary, path)
    _sync_folder(path.parent)


def replace_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file, in the place of one that may be there (mode: less the umask). Raises OSError."""
    with replacing(path, mode) as file:
        file.write(content)


def create_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file that is not there yet (mode: less the umask). Raises FileExistsError if it is, OSError."""
    with _beside(path, mode) as (temporary, file):
        file.write(content)
        _sync(file)
        os.link(temporary, path)
    _sync_folder(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, `path` with the suffix .tmp; when the block ends it takes the place of `path`.

    If the block raises, `path` stays as it was. It is for one writer at a time: what one who was killed has left under
    the temporary name is removed. There may be files in it, but no folders. Raises OSError.
    """
    temporary = path.with_suffix(".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for each in temporary.iterdir():
            with open(each, "rb") as file:
                os.fsync(file.fileno())
        _sync_folder(temporary)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _sync_folder(path.parent)


@contextmanager
def _beside(path: Path, mode: int) -> Iterator[tuple[Path, BinaryIO]]:
    temporary = path.with_name(f".{path.name[:_SHOWN_OF_NAME]}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield temporary, file
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Let the names in a folder last, where that can be; where it cannot, its files are whole all the same."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
