"""The env proxy's word on what a seat has earned, signed for a server that shares a key with it (HMAC-SHA256)."""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
from pathlib import Path

from envproxy.protocol import Earned
from operations.files import read_text
from operations.private_files import create_private

_KEY_BYTES = 32


def keep_key(path: Path) -> bytes:
    """Return the key in a file, made (mode 0600, whole or not at all) if there is none. Raises OSError."""
    if not path.exists():  # a folder with a key in it may be read-only
        with contextlib.suppress(FileExistsError):
            create_private(path, f"{secrets.token_bytes(_KEY_BYTES).hex()}\n".encode())
    try:
        key = bytes.fromhex(read_text(path))
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        raise OSError(f"{path} holds no key of {_KEY_BYTES} bytes in hexadecimal digits; delete it")
    return key


def attest(key: bytes, arena: str, earned: Earned) -> str:
    """Return a JSON object of what was earned, in which run, arena, seat and round, and its signature in front."""
    order = earned.order
    statement = json.dumps(
        {
            "run": order.run,
            "arena": arena,
            "seat": earned.seat,
            "round": earned.round,
            "reward-credit": order.credit,
            "reward-buffer": order.size,
            "battles": earned.battles,
            "reward": earned.reward,
        }
    )
    return f"{hmac.digest(key, statement.encode(), 'sha256').hex()} {statement}"
