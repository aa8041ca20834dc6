"""Programs that run in forks of a process that has loaded what they need: quick, and in shared memory.

The caller's side, and what a fork does about itself. Linux only. It imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SOCKET = "PPS_PRELOADED_SOCKET"  # in the environment: where the process that forks listens
SUPERNODE = "PPS_SUPERNODE"  # in the environment of what a SuperNode starts: its pid
_ARGV = slice(45, 47)  # of what /proc/PID/stat has after the program's name: where the command line begins and ends
NUMBER = 12  # bytes of the pid, and of the exit code, in digits
_END_LIMIT = 8.0  # seconds that a process has to end by itself


class Fork:
    """A program that was started in a fork. It lives on when this object is gone."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self._connection = connection  # on which the exit code comes
        self._process = _open(pid)

    def poll(self) -> int | None:
        """Return None while the program runs, then its exit code; 1 if the process that forked it has ended before."""
        if self._process is not None and not select.select([self._process], [], [], 0.0)[0]:
            return None
        return self.wait()

    def wait(self) -> int:
        """Return the exit code when the program has ended; as of `subprocess`, that is -9 for one that was killed."""
        if self._process is not None:
            select.select([self._process], [], [])
        with contextlib.suppress(OSError):
            if code := self._connection.recv(NUMBER, socket.MSG_WAITALL):
                return int(code)
        return 1

    def signal(self, number: int) -> None:
        """Send the program a signal, if it still runs."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, number)


def fork(command: Sequence[str], environment: Mapping[str, str], folder: Path, files: Sequence[int]) -> Fork | None:
    """Have a command started that the process at the socket in `environment` has loaded; None if nothing listens.

    `files` become the command's standard input, output and error.
    """
    path = environment.get(SOCKET)
    if not path or sys.platform != "linux":
        return None
    call = {"command": command, "environment": dict(environment), "folder": str(folder), "caller": os.getpid()}
    connection = socket.socket(socket.AF_UNIX)
    try:
        _connect(connection, Path(path))
        message = json.dumps(call).encode()
        sent = socket.send_fds(connection, [message], files)
        connection.sendall(message[sent:])
        connection.shutdown(socket.SHUT_WR)
        pid = connection.recv(NUMBER, socket.MSG_WAITALL)
    except OSError:
        pid = b""
    if not pid:
        connection.close()
        return None
    return Fork(int(pid), connection)


def end_with(pid: int, number: int) -> None:
    """Send this process a signal when the process `pid` ends, and SIGKILL if it does not end then."""
    process = _open(pid)

    def watch() -> None:
        if process is not None:
            select.select([process], [], [])
        os.kill(os.getpid(), number)
        time.sleep(_END_LIMIT)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="end-with").start()


def show_command(command: Sequence[str]) -> None:
    """Let `ps` show this command line for this process, cut to as many bytes as its own has."""
    with contextlib.suppress(OSError, ValueError):
        stat = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
        begin, end = (int(word) for word in stat.rpartition(")")[2].split()[_ARGV])
        line = b"\0".join(map(os.fsencode, command))[: end - begin - 1]
        ctypes.memset(begin, 0, end - begin)
        ctypes.memmove(begin, line, len(line))


def _connect(connection: socket.socket, path: Path) -> None:
    """By a descriptor of the folder: the path of a socket may not be long."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _open(pid: int) -> int | None:
    """Return a descriptor that can be read once the process has ended; None if it has."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
