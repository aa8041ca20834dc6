"""Loads Flower's `flwr-clientapp` once and runs it in forks of itself, until its parent, a SuperNode, is gone.

`python -m cli.warm.clientapps SOCKET PARENT`; `cli.warm.pass_on` calls.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from operations.tied import tie

_COMMAND = "flwr-clientapp"
_ALSO = ("grpc", "psutil", "safetensors.numpy")  # what our ClientApp imports beside Flower
_LOOK_EVERY = 0.5  # seconds between two looks at the parent


def main(path: str, supernode: str) -> int:
    """Return 0 when the SuperNode, our parent, is gone; in a fork, what the command returns."""
    parent = int(supernode)
    tie(parent)
    run = _load()
    with _listen(Path(path)) as listener:
        call = _next_call(listener, parent)
    if call is None:
        return 0
    _become(*call)
    return run()


def _load() -> Callable[[], int]:
    (command,) = entry_points(group="console_scripts", name=_COMMAND)
    run: Callable[[], int] = command.load()
    for module in _ALSO:
        importlib.import_module(module)
    return run


def _listen(path: Path) -> socket.socket:
    """Bind by a relative path: a socket's may not be long."""
    os.chdir(path.parent)
    Path(path.name).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path.name)
    listener.listen()
    return listener


def _next_call(listener: socket.socket, parent: int) -> tuple[bytes, list[int]] | None:
    """Fork for every call; return it in the fork. Here return None, when the parent is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    while os.getppid() == parent:
        if not select.select([listener], [], [], _LOOK_EVERY)[0]:
            continue
        connection, _ = listener.accept()
        with connection:
            message, files = _receive(connection)
        waiting = os.getpid()
        if os.fork() == 0:
            tie(waiting, signal.SIGKILL)  # a ClientApp whose SuperNode is gone must not start its agent again
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return message, files
        for file in files:
            os.close(file)
    return None


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    message, files, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while more := connection.recv(1 << 16):
        message += more
    return message, files


def _become(message: bytes, files: Sequence[int]) -> None:
    """Take over the command line, environment, folder and standard files of the process that called."""
    call = json.loads(message)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.argv = [_COMMAND, *call["arguments"]]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
