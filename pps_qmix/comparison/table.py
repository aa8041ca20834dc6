"""The table of runs, which a click on a column's head sorts (sort.js)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from operations.paths import shown
from pps_qmix.comparison.compared_run import ComparedRun
from server.report.summary import LAST, Rate
from server.report.words import duration, percent, strategy
from server.run_directory import report_path, watch_path

_NONE: Final = "–"


class Cell(NamedTuple):
    """What is shown, as HTML, and what the column is sorted by."""

    content: str
    order: str | float
    share: float | None = None  # 0..1, drawn as a bar behind the content


class Links(NamedTuple):
    """The addresses of what belongs to a run directory, as the page has them; None where there is nothing."""

    run: Callable[[Path], str | None]
    battles: Callable[[Path], str | None]


def run_table(runs: Sequence[ComparedRun], links: Links) -> str:
    """Return the table; runs in the order given."""
    head = (
        *("Run", "Map", "Strategy", "Base", "Seed"),
        *(f"Last {LAST} tests", "Final test", "95 % interval", "Steps", "Time", "State", "Battles"),
    )
    titles = "".join(f'<th scope="col"><button type="button">{title}</button></th>' for title in head)
    lines = "".join(f"<tr>{''.join(_cells(run, links))}</tr>" for run in runs)
    return (
        '<div class="scroll" tabindex="0"><table class="runs" data-sortable><thead><tr>'
        f"{titles}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def links_from(page: Path) -> Links:
    """Return relative links from a page to the pages of runs, so that all can be moved together."""
    folder = page.absolute().parent

    def link(path: Path) -> str | None:
        return quote(os.fsencode(os.path.relpath(path.absolute(), folder))) if path.exists() else None

    return Links(lambda run: link(report_path(run)), lambda run: link(watch_path(run)))


def _cells(run: ComparedRun, links: Links) -> Iterator[str]:
    settings, name, battles = run.settings, shown(run.name), links.battles(run.path)
    yield f'<th scope="row" data-order="{escape(name)}">{_linked(name, links.run(run.path))}</th>'
    cells = [
        *(_text(settings.get("map")), _text(strategy(settings) if settings else None), _text(settings.get("base"))),
        _number(settings.get("seed")),
        *(_rate(run.last_tests), _rate(run.final), _interval(run.final)),
        Cell(f"{run.steps:,}", run.steps),
        Cell(duration(run.seconds), run.seconds),
        Cell(f'<span class="state {run.state}">{run.state}</span>', run.state),
        Cell(_NONE if battles is None else _linked("watch", battles), ""),
    ]
    for cell in cells:
        bar = "" if cell.share is None else f' class="share" style="--share:{100 * cell.share:.0f}%"'
        yield f'<td data-order="{escape(str(cell.order))}"{bar}>{cell.content}</td>'


def _linked(text: str, address: str | None) -> str:
    return escape(text) if address is None else f'<a href="{escape(address)}">{escape(text)}</a>'


def _text(value: object) -> Cell:
    return Cell(_NONE if value is None else escape(str(value)), "" if value is None else str(value))


def _number(value: object) -> Cell:
    return Cell(escape(str(value)), value) if isinstance(value, int) else Cell(_NONE, -1)


def _rate(rate: Rate | None) -> Cell:
    return Cell(_NONE, -1) if rate is None else Cell(percent(rate.share), round(rate.share, 6), rate.share)


def _interval(rate: Rate | None) -> Cell:
    if rate is None:
        return Cell(_NONE, -1)
    low, high = rate.interval
    return Cell(f"{100 * low:.0f} to {percent(high)}", round(low, 6))
