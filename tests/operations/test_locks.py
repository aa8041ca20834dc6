"""One process at a time, and what is said to the others."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from operations.locks import InUseError, is_locked, lock, locked
from tests.waiting import WAIT_LIMIT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_it_is_one_s_own_until_the_descriptor_is_closed(path: Path) -> None:
    descriptor = lock(path)
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    assert lock(path) is None
    assert is_locked(path)
    os.close(descriptor)
    assert not is_locked(path)
    assert path.exists()  # it stays: who removes it could remove another's


def test_it_ends_with_its_process_however_that_ends(path: Path) -> None:
    program = f"import sys; from pathlib import Path; from operations.locks import lock\nlock(Path({str(path)!r}))\n"
    program += "print('locked', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    assert is_locked(path)
    with pytest.raises(InUseError, match=r"^another holds it$"), locked(path, "another holds it"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with locked(path, "another holds it"):
        assert is_locked(path)


def test_it_lasts_until_all_have_ended_that_have_inherited_it(path: Path) -> None:
    with locked(path, "in use") as descriptor:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    assert is_locked(path)
    child.communicate()
    assert not is_locked(path)


def test_it_is_left_when_the_block_fails(path: Path) -> None:
    with pytest.raises(ValueError, match="bad"), locked(path, "in use"):
        raise ValueError("bad")
    assert not is_locked(path)


def test_a_lock_with_a_limit_waits_for_its_holder(path: Path) -> None:
    before = locked(path, "in use")
    before.__enter__()
    leaving = threading.Timer(0.05, before.__exit__, (None, None, None))
    leaving.start()
    with locked(path, "in use", limit=WAIT_LIMIT):
        pass
    leaving.join()


def test_who_asks_makes_no_file(path: Path) -> None:
    assert not is_locked(path)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_file_s_mode(path: Path, mode: int) -> None:
    before = os.umask(0o022)
    try:
        with locked(path, "in use", mode=mode):
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lock(tmp_path / "nowhere" / "lock")


def test_a_file_system_without_locks_keeps_no_process_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with locked(path, "in use"), locked(path, "in use"):
        assert not is_locked(path)
