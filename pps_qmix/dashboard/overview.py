"""The parts of the dashboard's first page: all runs, side by side."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from pps_qmix.comparison import sections
from pps_qmix.comparison.compared_run import ComparedRun, Reader, runs_in
from pps_qmix.comparison.table import Links
from pps_qmix.status import RUNNING
from server.report import html
from server.run_directory import watch_path

IDS = ("count", "curves", "runs")


class Overview:
    """Reads a folder of runs again and again, and draws it if it has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader = Reader()
        self._drawn_of: object = None
        self._parts: dict[str, str] = {}

    def parts(self) -> dict[str, str]:
        """Return the HTML of each part, as the folder is now."""
        runs = self._reader.read(runs_in(self._folder))
        seen = [(run, watch_path(run.path).exists()) for run in runs]
        if seen != self._drawn_of:
            self._parts = _draw(sorted(runs, key=lambda run: (run.state != RUNNING, run.name)))
            self._drawn_of = seen
        return self._parts


def address(run: Path, page: str = "") -> str:
    """Return where the dashboard has a page of a run."""
    return f"/runs/{quote(os.fsencode(run.name))}/{page}"


def _draw(runs: list[ComparedRun]) -> dict[str, str]:
    links = Links(address, lambda run: address(run, "watch.html") if watch_path(run).exists() else None)
    if not runs:
        hint = "<p>No run has begun here. <code>pps-qmix train</code> begins one, and it appears on this page.</p>"
        return {"count": "", "curves": html.section("Runs", hint), "runs": ""}
    playing = sum(run.state == RUNNING for run in runs)
    count = f"{len(runs)} run{'' if len(runs) == 1 else 's'}, {playing} playing"
    return {"count": count, "curves": sections.curves(runs), "runs": sections.table(runs, links)}
