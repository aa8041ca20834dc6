"""What every command needs before it begins: our own modules under their names, and a working directory.

Imports nothing of ours: it is what it looks for.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

_OURS = ("operations", "learning", "strategies", "envproxy", "client", "server")


def check_modules() -> None:
    """End the process with one line if another module would be imported in the place of one of ours."""
    home = Path(__file__).resolve().parents[1]
    for name in _OURS:
        found = PathFinder.find_spec(name)
        where = None if found is None else found.origin or next(iter(found.submodule_search_locations or ()), None)
        if where is not None and home not in Path(where).resolve().parents:
            sys.exit(
                f"pps-qmix: {where} is imported in the place of the package {name} of pps-qmix; rename it, or take its "
                "folder out of PYTHONPATH"
            )


def check_working_directory() -> None:
    """Raise OSError if the working directory is not there any more."""
    try:
        os.getcwd()
    except OSError as error:
        raise OSError(
            f"the working directory cannot be used ({error.strerror}); cd to a folder that is there"
        ) from None
