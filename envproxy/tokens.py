"""Seat tokens: the secret that lets one agent take one seat of one arena, and nothing else.

They are kept as one file each, `<directory>/<arena>/seat-<i>.token`, readable by their owner alone.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from pathlib import Path

from operations.files import read_text
from operations.private_files import create_private, make_private_folder, replace_private


def token_path(directory: Path, arena: str, seat: int) -> Path:
    """Return where the token of a seat is kept."""
    return directory / arena / f"seat-{seat}.token"


def read_token(path: Path) -> str:
    """Return the token in a file. Raises OSError if it cannot be read or there is none in it."""
    try:
        token = read_text(path).strip()
    except UnicodeDecodeError:
        token = ""
    if not token.isascii() or not token:  # its writer was stopped; an empty token must never open a seat
        raise OSError(f"{path} holds no token; delete it, and the env proxy makes another when it starts")
    return token


def keep_tokens(directory: Path, arena: str, seats: int) -> list[str]:
    """Return the tokens of an arena's seats; those that do not exist yet are made (mode 0600, folders 0700).

    Raises OSError if they cannot be kept, or a file is there without a token in it.
    """
    for folder in (directory, directory / arena):  # of parents, mkdir would set no mode
        make_private_folder(folder)
    tokens = []
    for seat in range(seats):
        path = token_path(directory, arena, seat)
        if not path.exists():
            with contextlib.suppress(FileExistsError):  # another env proxy was faster: its token counts
                create_private(path, _new_token())
        tokens.append(read_token(path))
    return tokens


def replace_token(directory: Path, arena: str, seat: int) -> None:
    """Make a new token for a seat; the old one opens it no more once the env proxy has started again."""
    replace_private(token_path(directory, arena, seat), _new_token())


def same_token(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _new_token() -> bytes:
    return f"{secrets.token_urlsafe(32)}\n".encode()
