"""Writes the page of a run: `write_report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from operations.colours import PAGE_DARK, PAGE_LIGHT, css_variables
from operations.defaults import default_config
from operations.files import replace_file
from server.report import played, result
from server.report import rounds as figures
from server.report.style import FRAME, STYLE
from server.report.summary import Row, of_kind, whole_rounds
from server.report.teams import teams
from server.report.words import heading


def write_report(path: Path, run: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Write the page for run.json's content and the rows of metrics.jsonl. Raises OSError."""
    settings = {**default_config(), **run["settings"]}
    evaluations, rounds = of_kind(rows, "evaluation"), of_kind(rows, "round")
    sections = [
        result.tiles(settings, run.get("runtime"), evaluations, rounds),
        result.learning_curve(evaluations, rounds),
        figures.small_charts(whole_rounds(rounds)),
        figures.agents(rounds),
        teams(rows),
        figures.times(rows),
        played.commands(settings, run.get("runtime")),
        played.settings_tables(settings),
        played.versions(run),
    ]
    page = FRAME.substitute(
        title=escape(heading(settings, _team_size(rounds))),
        run=escape(str(settings["run"])),
        state="" if rounds else ": no round has ended yet",
        colours=css_variables(PAGE_LIGHT, PAGE_DARK),
        style=STYLE,
        sections="\n".join(filter(None, sections)),
    )
    replace_file(path, page.encode())


def _team_size(rounds: Sequence[Row]) -> int | None:
    """Return the number of agents of a team, from the seats that any round names; None before the first."""
    members = (str(member) for row in rounds for member in (*row["seats"], *row["missing"], *row["rejected"]))
    seats = {int(member.rpartition(":")[2]) for member in members}
    return max(seats) + 1 if seats else None
