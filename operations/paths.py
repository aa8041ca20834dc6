"""Paths as users write them, and as they are shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

HOST_PATHS = "PPS_HOST_PATHS"  # INSIDE=OUTSIDE: a folder that is mounted into this container, and its name outside


def user_path(text: str | os.PathLike[str]) -> Path:
    """Return the path that a user writes: `~` and `~USER` are home folders, `~` before any other name is a sign of it.

    `Path.expanduser` raises RuntimeError for the latter.
    """
    return Path(os.path.expanduser(text))


def real_path(path: Path) -> Path:
    """Return where a path leads, absolute and without links, `.` and `..`: its last part is the name of what is there.

    `Path.resolve` raises RuntimeError where links lead in a circle; here the path stays as far as it leads.
    """
    return Path(os.path.realpath(path))


def shown(text: str | Path) -> str:
    """Return a path, or a text with paths in it, as one line that any terminal, file and page can show.

    A sign that moves the cursor, begins a line or is no character at all becomes its escape; all others stay. What is
    in the folder that $PPS_HOST_PATHS names has the path that the user knows it by.
    """
    return "".join(map(_shown, _outside(str(text))))


def shown_lines(text: str) -> str:
    """Return a text of several lines, each as `shown` has it."""
    return "\n".join(map(shown, text.split("\n")))


def is_utf8(path: Path) -> bool:
    """Say whether a path can be written into a text: what is no UTF-8 cannot."""
    return not any("\ud800" <= sign <= "\udfff" for sign in str(path))


def _outside(text: str) -> str:
    inside, named, outside = os.environ.get(HOST_PATHS, "").partition("=")
    if not named:
        return text
    told = rf"(?!{re.escape(outside)}(?![\w.-]))"  # a text may be shown more than once
    return re.sub(rf"(?<![\w./~-]){told}{re.escape(inside)}(?![\w.-])", lambda _: outside, text)


def _shown(sign: str) -> str:
    hidden = sign < " " or "\x7f" <= sign <= "\x9f" or "\ud800" <= sign <= "\udfff" or sign in "\u2028\u2029"
    return sign.encode("unicode_escape").decode() if hidden else sign
