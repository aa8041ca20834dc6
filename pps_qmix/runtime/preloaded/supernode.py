"""Starts what a SuperNode's commands are forked from, and becomes the SuperNode.

`python -P -m pps_qmix.runtime.preloaded.supernode SOCKET flower-supernode ...` is for a device that has a machine to
itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

from operations.forks import SOCKET
from pps_qmix.runtime.preloaded.loaded import ENVIRONMENT, ROOM

BIN = Path(__file__).parent / "bin"
_LOOK_EVERY = 0.05  # seconds


def loaded_command(socket: Path, parent: int) -> list[str]:
    """Return the command that loads Flower and PyTorch, to listen on a unix socket while its parent lives."""
    return [sys.executable, "-P", "-m", "pps_qmix.runtime.preloaded.loaded", str(socket), str(parent), ROOM]


def preloaded_environment(socket: Path) -> dict[str, str]:
    """Return what the commands in `bin/` need in their environment, beside ours."""
    return {SOCKET: str(socket), "PPS_PYTHON": sys.executable}


def main(socket: str, *command: str) -> NoReturn:
    """Become `command`; a child stays, which listens on the unix socket at path `socket`."""
    path = Path(socket).absolute()
    environment = {**os.environ, **preloaded_environment(path)}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    program = command[0]
    if sys.platform == "linux":
        path.unlink(missing_ok=True)
        loaded = subprocess.Popen(loaded_command(path, os.getpid()), env={**environment, **ENVIRONMENT})
        while not path.exists() and loaded.poll() is None:
            time.sleep(_LOOK_EVERY)
        ours = BIN / Path(program).name
        program = str(ours) if ours.exists() else program
    os.execvpe(program, [program, *command[1:]], environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
