"""Writes the page of a run: `write_report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from operations.defaults import default_config
from operations.files import replace_file
from server.report import played, result
from server.report import rounds as figures
from server.report.style import framed
from server.report.summary import Row, of_kind, team_size, whole_rounds
from server.report.teams import teams
from server.report.words import heading
from server.run_directory import watch_path


def write_report(path: Path, run: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Write the page for run.json's content and the rows of metrics.jsonl. Raises OSError.

    `path` is the page's; it links the recorded battles that are beside it.
    """
    settings = {**default_config(), **run["settings"]}
    evaluations, rounds = of_kind(rows, "evaluation"), of_kind(rows, "round")
    sections = [
        result.tiles(settings, run.get("runtime"), evaluations, rounds),
        result.learning_curve(evaluations, rounds),
        figures.small_charts(whole_rounds(rounds)),
        figures.agents(rounds),
        teams(rows),
        figures.times(rows),
        played.battles(settings, watch_path(path.parent).exists()),
        played.commands(settings, run.get("runtime")),
        played.settings_tables(settings),
        played.versions(run),
    ]
    notice = f"Run <b>{escape(str(settings['run']))}</b>{'' if rounds else ': no round has ended yet'}"
    replace_file(path, framed(heading(settings, team_size(rounds)), notice, sections).encode())
