"""Starts what waits beside a SuperNode, and becomes the SuperNode: `python -m cli.warm.supernode SOCKET COMMAND...`"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

_BIN = Path(__file__).parent / "bin"


def main(socket: str, *command: str) -> NoReturn:
    """Become `command`; a child stays, which listens on the unix socket at path `socket`."""
    subprocess.Popen([sys.executable, "-P", "-m", "cli.warm.clientapps", socket, str(os.getpid())])
    environment = {
        **os.environ,
        "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
        "PPS_CLIENTAPP_SOCKET": socket,  # these two for bin/flwr-clientapp
        "PPS_PYTHON": sys.executable,
    }
    os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
