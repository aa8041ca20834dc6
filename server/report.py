"""Writes report.html: what a run was and what came of it, on one page that needs no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from operations.files import replace_file

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 0 0 1.5rem; }}
th, td {{ border: 1px solid #ccc; padding: .2rem .6rem; text-align: left; font-variant-numeric: tabular-nums; }}
img {{ max-width: 100%; }}
</style>
<h1>{title}</h1>
<h2>Result</h2>
{result}
<h2>Learning curve</h2>
<img alt="test win rate and test return against environment steps" src="data:image/png;base64,{curve}">
<h2>Learning and sharing</h2>
<p>Figures of the rounds; their meaning and formulas are in docs/metrics.md, all rounds are in metrics.jsonl.</p>
{figures}
<h2>The seats in the last round</h2>
{seats}
<h2>Time per round, by part</h2>
<p>Mean seconds over the rounds. Waiting, acting and learning are means over the agents; Flower is what no agent was
busy with: delivery of messages, starts of ClientApps, polling.</p>
{seconds}
<h2>Settings</h2>
{settings}
</html>
"""

_FIGURES = ("win-rate", "return", "length", "epsilon", "loss", "td-error", "q-mean", "grad-norm")
_SEAT_FIGURES = (
    "loss",
    "td-error",
    "q-mean",
    "grad-norm",
    "reward-sum",
    "weight",
    "battles",
    "missed",
    "training-steps",
)


def write_report(path: Path, run: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], curve: Path) -> None:
    """Write the page for run.json's content, the rows of metrics.jsonl and the picture of the curve.

    Raises OSError.
    """
    page = _PAGE.format(
        title=escape(str(run["settings"]["run"])),
        result=_table(result_of(rows).items()),
        curve=base64.b64encode(curve.read_bytes()).decode(),
        figures=_grid(figures_of(rows)),
        seats=_grid(seats_of(rows)),
        seconds=_table((name, f"{value:.2f}") for name, value in mean_seconds(rows).items()),
        settings=_table(
            [
                *run["settings"].items(),
                *run["versions"].items(),
                *run.get("provenance", {}).items(),
                *([("simulator version", run["simulator"])] if run.get("simulator") else []),
                ("commit", run["commit"]),
            ]
        ),
    )
    replace_file(path, page.encode())


def result_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the figures a reader asks for first: last and best test win rate, rounds, steps."""
    rows = list(rows)
    evaluations = [row for row in rows if row["kind"] == "evaluation"]
    rounds = [row for row in rows if row["kind"] == "round"]
    result = {}
    if evaluations:
        last, best = evaluations[-1], max(evaluations, key=lambda row: row["win-rate"])
        result["last test win rate"] = f"{last['win-rate']:.2f} ({last['battles']} battles at step {last['steps']:,})"
        result["best test win rate"] = f"{best['win-rate']:.2f} (at step {best['steps']:,})"
    if rounds:
        result["rounds"] = str(rounds[-1]["round"])
        result["environment steps"] = f"{rounds[-1]['steps']:,}"
    return result


def mean_seconds(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean seconds of a round by part."""
    rounds = [row["seconds"] for row in rows if row["kind"] == "round"]
    return {name: sum(seconds[name] for seconds in rounds) / len(rounds) for name in rounds[0]} if rounds else {}


def figures_of(rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return a table with head: what the rounds' figures were at first and at last, and between which bounds."""
    rounds = [
        {**row, **{name: value for name, value in row["shared"].items() if _of_the_team(name)}}
        for row in rows
        if row["kind"] == "round"
    ]
    shared = [name for row in rounds for name in row["shared"] if name in row]
    table = [["", "first round", "last round", "lowest", "highest"]]
    for name in dict.fromkeys([*_FIGURES, *shared]):
        values = [row[name] for row in rounds if row.get(name) is not None]
        if values:
            table.append([name, *(f"{value:.4g}" for value in (values[0], values[-1], min(values), max(values)))])
    return table


def seats_of(rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return a table with head: the seats' figures in the last round that was played."""
    last = next((row for row in reversed(list(rows)) if row["kind"] == "round"), None)
    if last is None:
        return []
    found = {seat: {**report, "weight": last["shared"].get(f"weight/{seat}")} for seat, report in last["seats"].items()}
    table = [["", *(f"seat {seat}" for seat in found)]]
    for name in _SEAT_FIGURES:
        values = [report.get(name) for report in found.values()]
        if any(value is not None for value in values):
            table.append([name, *("-" if value is None else f"{value:.4g}" for value in values)])
    return table


def _of_the_team(name: str) -> bool:
    return not name.startswith(("seats-", "reward/", "weight/", "weights-"))


def _grid(table: Sequence[Sequence[str]]) -> str:
    """A table whose first row and column are heads."""
    lines = []
    for number, (head, *cells) in enumerate(table):
        kind = "td" if number else "th"
        lines.append(f"<tr><th>{escape(head)}</th>" + "".join(f"<{kind}>{escape(c)}</{kind}>" for c in cells) + "</tr>")
    return "<table>\n{}\n</table>".format("\n".join(lines)) if lines else ""


def _table(rows: Iterable[tuple[str, object]]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>\n" for name, value in rows)
    return f"<table>\n{cells}</table>"
