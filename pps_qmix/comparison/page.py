"""Writes the comparison of run directories as a page: `write_comparison`, and `write_index` for those of a folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Final

from operations.files import replace_file
from operations.paths import shown
from pps_qmix.comparison import sections
from pps_qmix.comparison.compared_run import ComparedRun, compared_run, runs_in
from pps_qmix.comparison.table import links_from
from pps_qmix.status import changed
from server.report.style import framed

_INDEX: Final = "index.html"


def index_path(runs: Path) -> Path:
    """Return where a folder of runs has the comparison of all of them."""
    return runs / _INDEX


def write_index(runs: Path, newest: int) -> Path:
    """Compare the `newest` runs in a folder, those that wrote last; return the page. Raises OSError."""
    page, found = index_path(runs), runs_in(runs)
    chosen = sorted(sorted(found, key=changed)[-newest:])
    left_out = len(found) - len(chosen)
    everything = shlex.join(["pps-qmix", "compare", "--runs", shown(runs)])
    hint = f"Older runs that are left out: {left_out}; <code>{escape(everything)}</code> compares all."
    write_comparison(page, chosen, hint if left_out else "")
    return page


def write_comparison(page: Path, paths: Sequence[Path], hint: str = "") -> list[ComparedRun]:
    """Write the page that compares run directories, whole or not at all; return the runs.

    `hint` is HTML, to be read first. Raises OSError.
    """
    runs = [compared_run(path) for path in paths]
    written = datetime.now().strftime("%Y-%m-%d %H:%M")
    notice = f"Written on {written}. {_live(paths)} {hint}"
    parts = [sections.curves(runs), sections.table(runs, links_from(page))]
    replace_file(page, framed(title(runs), notice, parts, style=sections.STYLE, script=sections.SCRIPT).encode())
    return runs


def _live(paths: Sequence[Path]) -> str:
    """Return the command that shows the runs live, as HTML; nothing for runs of several folders."""
    folders = {path.absolute().parent for path in paths}
    if len(folders) != 1:
        return ""
    command = shlex.join(["pps-qmix", "dashboard", shown(folders.pop())])
    return f"<code>{escape(command)}</code> shows the runs live."


def title(runs: Sequence[ComparedRun]) -> str:
    """Return what a comparison is called."""
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
