"""Runs a command of Flower's in a fork of the process that has loaded it (`loaded`): `pass_on.py NAME ...`.

If no process listens, it becomes Flower's own command. It starts for every message, so it imports next to nothing.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parents[2]))

from operations.forks import SUPERNODE, Fork, fork, show_command  # noqa: E402

_STAYS = "flower-supernode"  # is watched, and told to end, by who started it


def main(name: str, *arguments: str) -> int:
    """Return 0 when the command has been started; for a SuperNode its exit code, when it has ended."""
    elsewhere = os.pathsep.join(
        each for each in os.environ["PATH"].split(os.pathsep) if Path(each).resolve() != _HERE / "bin"
    )
    own = shutil.which(name, path=elsewhere) or name
    os.environ["PATH"] = f"{_HERE / 'bin'}{os.pathsep}{elsewhere}"  # for what the command starts
    started = fork([own, *arguments], os.environ, Path.cwd(), [0, 1, 2])
    if started is None:
        if name == _STAYS:
            os.environ[SUPERNODE] = str(os.getpid())
        os.execv(own, [own, *arguments])
    return _stay(started) if name == _STAYS else 0


def _stay(started: Fork) -> int:
    show_command(["pass_on.py", "waits for", str(started.pid)])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: started.signal(number))
    code = started.wait()
    if code < 0:  # so that it is told as it was
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
