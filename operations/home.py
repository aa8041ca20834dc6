"""$PPS_HOME: the folder of this machine's device directories, tokens and mixers."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from operations.paths import user_path

_REMEDY = "name another folder in PPS_HOME"


class HomeError(Exception):
    """$PPS_HOME, or a folder in it, cannot be used; the message says why and what to do."""


def pps_home() -> Path:
    """Return $PPS_HOME, or ~/.pps-qmix. Raises HomeError if the home folder is unknown."""
    named = os.environ.get("PPS_HOME")
    if not named:
        try:
            named = str(Path.home() / ".pps-qmix")
        except RuntimeError:  # no HOME, and the user is not in the list of users
            raise HomeError("the home folder is unknown: HOME is not set; name a folder in PPS_HOME") from None
    return user_path(named).absolute()


def made_home() -> Path:
    """Return $PPS_HOME, and create it if necessary. Raises HomeError if files cannot be written there."""
    home = pps_home()
    make_folder(home, "PPS_HOME")
    if not os.access(home, os.W_OK | os.X_OK):
        raise HomeError(f"cannot write in {home}: {os.strerror(errno.EACCES)}; {_REMEDY}")
    return home


def make_folder(folder: Path, what: str) -> None:
    """Create a folder for its owner alone (mode 0700), and those above it. Raises HomeError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise HomeError(f"cannot make {what} {folder}: {error.strerror}; {_REMEDY}") from None
