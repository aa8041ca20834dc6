"""Loads Flower and PyTorch once and runs a device's commands in forks of itself, until its parent is gone.

`python -P -m pps_qmix.runtime.preloaded.loaded SOCKET PARENT ROOM`; `operations.forks` calls. ROOM makes room for the
command lines of the forks. A fork does not end with this process.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple, NoReturn

from operations.forks import NUMBER, SUPERNODE, end_with, show_command
from operations.tied import tie
from server.flower_internals import DEVICE_COMMANDS, LATE_IMPORTS

ROOM = "." * 4000
ENVIRONMENT = {  # read when what is loaded is loaded
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "GRPC_VERBOSITY": "NONE",
}
_AGENT = "client.resident"
# What our ClientApp and our agent import, and what Flower's commands and PyTorch import as late as they can. None of
# our own packages: a ClientApp has those that the server sent.
_ALSO = ("grpc", "psutil", "numpy", "numba", "safetensors.numpy", "torch", "torch._dynamo", *LATE_IMPORTS)
_OURS = ("operations", "pps_qmix", "server")
_CALL_LIMIT = 10.0  # seconds that a caller has to say what it wants
_LOOK_EVERY = 0.5  # seconds between two looks at the parent


class Call(NamedTuple):
    """What is to be run: as of the process `caller`, with its standard files."""

    command: list[str]
    environment: dict[str, str]
    folder: str
    caller: int
    files: list[int]


def main(path: str, parent: str, _: str = "") -> int:
    """Return 0 when our parent is gone; in a fork, what the command returns."""
    tie(int(parent))
    show_command([sys.executable, "-P", "-m", "pps_qmix.runtime.preloaded.loaded", path, parent])
    flower = {name: _flower(name) for name in DEVICE_COMMANDS}
    for module in _ALSO:
        with contextlib.suppress(ImportError):  # each command imports what it needs
            importlib.import_module(module)
    _compile()
    gc.collect()
    gc.freeze()  # or a fork's first collection writes to every page
    with _listen(Path(path)) as listener:
        call = _next_call(listener, int(parent))
    if call is None:
        return 0
    program = _become(call)
    _run(importlib.import_module(_AGENT).main if program == _AGENT else flower[program])
    return 0


def _compile() -> None:
    """Compile a function: only then does numba load what it compiles with, in half a second."""
    with contextlib.suppress(ImportError):
        numba, numpy = map(importlib.import_module, ("numba", "numpy"))
        numba.njit(lambda array: array[0])(numpy.zeros(1))


def _run(command: Callable[[], int | None]) -> NoReturn:
    """Run a command to its end, as the interpreter would, except that it does not take apart what it has loaded.

    That would write to all pages that are shared.
    """
    code: int | str | None = 1
    try:
        code = command()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):  # as multiprocessing ends its forks
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _flower(name: str) -> Callable[[], int]:
    (command,) = entry_points(group="console_scripts", name=name)
    run: Callable[[], int] = command.load()
    return run


def _listen(path: Path) -> socket.socket:
    """Bind by a relative path: a socket's may not be long. When it is at its place, it listens."""
    os.chdir(path.parent)
    listener = socket.socket(socket.AF_UNIX)
    new = Path(f"{os.getpid()}.sock")
    new.unlink(missing_ok=True)
    listener.bind(str(new))
    new.chmod(0o600)  # who can call it runs programs as us
    listener.listen(128)
    new.rename(path.name)
    return listener


def _next_call(listener: socket.socket, parent: int) -> Call | None:
    """Fork for every call; return it in the fork. Here return None, when the parent is gone."""
    ended, wake = socket.socketpair()
    for each in (ended, wake):
        each.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    running: dict[int, socket.socket] = {}  # by pid, whom to tell the exit code
    while os.getppid() == parent:
        ready, _, _ = select.select([listener, ended], [], [], _LOOK_EVERY)
        if ended in ready:
            ended.recv(1 << 10)
            _tell_ended(running)
        if listener not in ready:
            continue
        connection, _ = listener.accept()
        try:
            call = _receive(connection)
        except (OSError, ValueError, TypeError):
            connection.close()
            continue
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (connection, ended, wake, *running.values()):
                each.close()
            return call
        for file in call.files:
            os.close(file)
        running[pid] = connection
        _tell(connection, pid)
    return None


def _tell_ended(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        connection = running.pop(pid)
        _tell(connection, os.waitstatus_to_exitcode(status))
        connection.close()


def _tell(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # the caller does not want to know
        connection.sendall(f"{number:{NUMBER}}".encode())


def _receive(connection: socket.socket) -> Call:
    connection.settimeout(_CALL_LIMIT)
    message, files, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while more := connection.recv(1 << 16):
        message += more
    return Call(**json.loads(message), files=files)


def _become(call: Call) -> str:
    """Take over what the caller had; return the name of the program."""
    os.setsid()
    for number, file in enumerate(call.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(call.folder)
    os.environ.clear()
    os.environ.update(call.environment)
    show_command(call.command)
    program = _AGENT if _AGENT in call.command else Path(call.command[0]).name
    sys.argv = call.command if program != _AGENT else call.command[call.command.index(_AGENT) :]
    if program == "flower-supernode":
        end_with(call.caller, signal.SIGTERM)
        os.environ[SUPERNODE] = str(os.getpid())
    elif program == "flwr-clientapp" and SUPERNODE in os.environ:
        end_with(int(os.environ[SUPERNODE]), signal.SIGKILL)  # or it starts an agent again that has ended with it
    for name in list(sys.modules):  # a ClientApp has the server's
        if name.partition(".")[0] in _OURS:
            del sys.modules[name]
    return program


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
