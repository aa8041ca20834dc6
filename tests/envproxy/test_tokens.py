"""Seat tokens: made once, for their owner alone, one for every seat."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from envproxy.attestation import keep_key
from envproxy.tokens import keep_tokens, read_token, same_token, token_path
from strategies.attestation import read_key


@pytest.fixture(autouse=True)
def _careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_tokens_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    keep_tokens(tmp_path / "tokens", "main", 3)
    files = sorted(tmp_path.rglob("*.token"))
    assert files == [token_path(tmp_path / "tokens", "main", seat) for seat in range(3)]
    assert [mode(file) for file in files] == [0o600] * 3
    assert [mode(tmp_path / folder) for folder in ("tokens", "tokens/main")] == [0o700] * 2


def test_tokens_are_kept(tmp_path: Path) -> None:
    made = keep_tokens(tmp_path, "main", 2)
    assert keep_tokens(tmp_path, "main", 2) == made
    assert keep_tokens(tmp_path, "main", 3)[:2] == made
    assert [read_token(token_path(tmp_path, "main", seat)) for seat in (0, 1)] == made


def test_every_seat_of_every_arena_has_its_own_token(tmp_path: Path) -> None:
    tokens = [token for arena in ("a", "b") for token in keep_tokens(tmp_path, arena, 5)]
    assert len(set(tokens)) == 10
    assert min(map(len, tokens)) >= 32


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_file_without_a_token_is_never_taken_for_one(tmp_path: Path, content: bytes) -> None:
    """What is left of a proxy that was killed while it wrote: with it, an empty token would open the seat."""
    keep_tokens(tmp_path, "main", 2)
    path = token_path(tmp_path, "main", 1)
    path.write_bytes(content)
    for read in (lambda: read_token(path), lambda: keep_tokens(tmp_path, "main", 2)):
        with pytest.raises(OSError, match=r"seat-1\.token holds no token"):
            read()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_that_was_written_on_windows_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "token").write_bytes("secret\r\n".encode(encoding))
    assert read_token(tmp_path / "token") == "secret"
    key = "0f" * 32
    (tmp_path / "key").write_bytes(f"{key}\r\n".encode(encoding))
    assert keep_key(tmp_path / "key") == read_key(tmp_path / "key") == bytes.fromhex(key)


def test_a_token_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_token(tmp_path / "seat-0.token")


@pytest.mark.parametrize(
    ("given", "same"), [("abc", True), ("abd", False), ("", False), ("abcd", False), ("é☃", False)]
)
def test_tokens_are_compared(given: str, same: bool) -> None:
    assert same_token(given, "abc") is same
