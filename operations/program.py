"""How a user calls this program."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

NAME: Final = "pps-qmix"


def program() -> str:
    """Return what stands before the name of a command: the program's name, or its path where the shell knows no such.

    `make demo` calls the program of an environment that the user's shell has not activated.
    """
    called = Path(sys.argv[0])
    return str(called) if called.name == NAME and shutil.which(NAME) is None else NAME
