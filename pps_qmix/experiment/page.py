"""Writes index.html: a small chart for each method, the paper's win rates beside ours, the table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from operations.files import replace_file
from pps_qmix.comparison import sections
from pps_qmix.comparison.compared_run import compared_run, runs_in
from pps_qmix.comparison.page import index_path
from pps_qmix.comparison.table import links_from
from pps_qmix.experiment.cells import Cell
from pps_qmix.experiment.paper import paper_win_rate
from pps_qmix.experiment.statistics import CONFIDENCE, OverSeeds
from server.report import charts, html
from server.report.style import framed
from server.report.words import percent

_NONE = "–"
_BEHIND = "--hue:var(--faint)"  # the other methods, behind the one of a chart


def write_page(folder: Path, name: str, found: Sequence[Cell], runs: Path) -> None:
    """Write the page for all cells of an experiment, whole or not at all. Raises OSError."""
    finished, planned = sum(len(cell.runs) for cell in found), sum(cell.planned for cell in found)
    page = index_path(folder)
    parts = [
        *(_curves(map_, list(cells)) for map_, cells in groupby(found, lambda cell: cell.map)),
        _win_rates(found),
        sections.table([compared_run(path) for path in runs_in(runs)], links_from(page)),
    ]
    notice = f"Experiment: {finished} of {planned} runs are finished."
    replace_file(page, framed(name, notice, parts, style=sections.STYLE, script=sections.SCRIPT).encode())


def _curves(map_: str, cells: Sequence[Cell]) -> str:
    """A chart for each method that has finished runs, the other methods' lines behind it."""
    played = [(number, cell, _series(cell, number, len(cells))) for number, cell in enumerate(cells) if cell.runs]
    if not played:
        return ""
    end = max(x for _, _, own in played for x, _ in own.curve)
    figures = []
    for number, cell, own in played:
        behind = [other._replace(colour=_BEHIND, band=(), is_faint=True) for n, _, other in played if n != number]
        label = f"{cell.method.name} on {map_}, {len(cell.runs)} of {cell.planned} seeds"
        chart = charts.win_rates_chart([*behind, own], f"test win rate: {label}", end)
        seeds = f"{len(cell.runs)} of {cell.planned} seeds; final {_interval(cell.final())}"
        figures.append(html.figure(escape(cell.method.name), chart, seeds))
    how = (
        f"Interquartile mean over seeds and its {percent(CONFIDENCE)} bootstrap interval. "
        "Thin lines are the other methods."
    )
    content = f'<div class="small methods">{"".join(figures)}</div><p class="faint">{how}</p>'
    return html.section(f"{escape(map_)}: test win rate", content)


def _series(cell: Cell, number: int, of: int) -> charts.Series:
    steps, rate = cell.curve()
    columns = [each.tolist() for each in (steps, rate.iqm, rate.low, rate.high)]
    points = list(zip(*columns, strict=True))
    curve = [(float(x), iqm) for x, iqm, _, _ in points]
    band = [(float(x), low, high) for x, _, low, high in points]
    return charts.Series(cell.method.name, curve, charts.hue(number, of), band)


def _win_rates(found: Sequence[Cell]) -> str:
    head = ("Map", "Method", "Seeds", "Final test", "Best test", "Best test in the paper")
    how = (
        "The paper's figures are those of its Table 2: the best of all tests of one seed, on StarCraft II. The best of "
        "many tests is higher than a team is worth: compare methods by the final test."
    )
    note = f'<p class="faint">{how}</p>'
    table = f'<div class="rates">{html.table(head, map(_line, found))}</div>'
    return html.section("Win rates beside the paper's", table + note)


def _line(cell: Cell) -> tuple[str, ...]:
    paper = paper_win_rate(cell.map, cell.method)
    ours = (_interval(cell.final()), _interval(cell.best())) if cell.runs else (_NONE, _NONE)
    seeds = f"{len(cell.runs)} of {cell.planned}"
    return cell.map, cell.method.name, seeds, *ours, _NONE if paper is None else percent(paper)


def _interval(rate: OverSeeds) -> str:
    return f"{percent(float(rate.iqm))} ({100 * float(rate.low):.0f} to {percent(float(rate.high))})"
