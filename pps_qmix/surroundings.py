"""What every command needs before it begins: our own modules under their names, and a working directory.

Imports only the standard library: Python may find other modules in place of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

# Ours, but for pps_qmix itself: no other project has that name, and what shadows it shadows this check.
PACKAGES = ("cli", "client", "envproxy", "learning", "operations", "server", "strategies")

_HOME = Path(__file__).resolve().parents[1]


class ModuleShadowedError(ImportError):
    """Python would import another module in place of one of our packages; the message is one line."""


def check_modules() -> None:
    """Raise ModuleShadowedError if Python would import another module in place of one of our packages."""
    for name in PACKAGES:
        found = PathFinder.find_spec(name)
        where = None if found is None else found.origin or next(iter(found.submodule_search_locations or ()), None)
        if where is not None and not _is_ours(where):
            raise ModuleShadowedError(
                f"{where} is imported in the place of the package {name} of pps-qmix; rename it, or take its folder "
                "out of PYTHONPATH"
            )


def modules_with_our_names(folders: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield the names of our packages that a module in one of `folders` has too, each with the file of that module."""
    for folder in dict.fromkeys(folders):
        for name in PACKAGES:
            found = PathFinder.find_spec(name, [folder])
            # A folder without __init__.py has no origin: Python prefers a package elsewhere on the path.
            if found is not None and found.origin is not None and not _is_ours(found.origin):
                yield name, Path(found.origin)


def check_working_directory() -> None:
    """Raise OSError if the working directory was removed or cannot be read."""
    try:
        os.getcwd()
    except OSError as error:
        raise OSError(
            f"the working directory cannot be used ({error.strerror}); cd to a folder that is there"
        ) from None


def _is_ours(file: str) -> bool:
    return _HOME in Path(file).resolve().parents
