"""Writes report.html: what a run was and what came of it, on one page that needs no network."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

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
<h2>Time per round, by part</h2>
<p>Mean seconds over the rounds. Waiting, acting and learning are means over the agents; Flower is what no agent was
busy with: delivery of messages, starts of ClientApps, polling.</p>
{seconds}
<h2>Settings</h2>
{settings}
</html>
"""


def write_report(path: Path, run: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], curve: Path) -> None:
    """Write the page for run.json's content, the rows of metrics.jsonl and the picture of the curve."""
    page = _PAGE.format(
        title=escape(str(run["settings"]["run"])),
        result=_table(result_of(rows).items()),
        curve=base64.b64encode(curve.read_bytes()).decode(),
        seconds=_table((name, f"{value:.2f}") for name, value in mean_seconds(rows).items()),
        settings=_table([*run["settings"].items(), *run["versions"].items(), ("commit", run["commit"])]),
    )
    temporary = path.with_suffix(".tmp")
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, path)


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


def _table(rows: Iterable[tuple[str, object]]) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>\n" for name, value in rows)
    return f"<table>\n{cells}</table>"
