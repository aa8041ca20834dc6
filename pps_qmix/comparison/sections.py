"""The parts of a comparison: curves map by map, and the table of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import Final

from pps_qmix.comparison.compared_run import ComparedRun
from pps_qmix.comparison.groups import Group, curve, maps_of, mean_curve
from pps_qmix.comparison.table import Links, run_table
from server.report import charts, html
from server.report.summary import LAST, WINDOW
from server.report.words import percent

SCRIPT: Final = (resources.files(__package__) / "sort.js").read_text(encoding="utf-8")
STYLE: Final = (resources.files(__package__) / "comparison.css").read_text(encoding="utf-8")


def curves(runs: Iterable[ComparedRun]) -> str:
    """Return the win rates, a chart for each map: each run's, and mean and band of those that differ by seed alone."""
    maps = maps_of(runs)
    if not maps:
        return ""
    figures = "".join(_map(map_, groups) for map_, groups in maps.items())
    how = (
        f"Lines are means over {WINDOW} tests. Runs that differ by their seed alone have one colour: thin lines are "
        "the runs, the thick line is their mean as far as all of them have come, and the band reaches from the lowest "
        "to the highest of them."
    )
    return html.section("Test win rate", f'<div class="maps">{figures}</div><p class="faint">{how}</p>')


def table(runs: Sequence[ComparedRun], links: Links) -> str:
    return html.section("Runs", run_table(runs, links)) if runs else ""


def _map(map_: str, groups: Sequence[Group]) -> str:
    series = [each for number, group in enumerate(groups) for each in _series(group, charts.hue(number, len(groups)))]
    end = max((x for each in series for x, _ in each.curve), default=0.0)
    drawn = charts.win_rates_chart(series, f"test win rate on {map_}", end) if end else ""
    lines = "".join(_key(group, charts.hue(number, len(groups))) for number, group in enumerate(groups))
    head = "".join(f'<th scope="col">{title}</th>' for title in ("Method", "Runs", f"Last {LAST} tests"))
    key = f'<table class="key"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'
    return f'<figure><h3>{escape(map_)}</h3><div class="medium">{drawn}</div><div class="scroll">{key}</div></figure>'


def _series(group: Group, colour: str) -> Iterable[charts.Series]:
    """The curves of a group's runs, and if these are several, their mean and band."""
    found = [each for each in map(curve, group.runs) if each]
    if len(found) == 1:
        yield charts.Series(group.name, found[0], colour)
    elif found:
        yield from (charts.Series("", each, colour, is_faint=True) for each in found)
        means = mean_curve(found)
        band = [(x, low, high) for x, _, low, high in means]
        yield charts.Series(group.name, [(x, mean) for x, mean, _, _ in means], colour, band)


def _key(group: Group, colour: str) -> str:
    rates = [rate.share for run in group.runs if (rate := run.last_tests) is not None]
    shown = "–"
    if rates:
        shown = percent(sum(rates) / len(rates))
        if len(rates) > 1:
            shown += f" ({100 * min(rates):.0f} to {percent(max(rates))})"
    name = f'<th scope="row" style="{colour}">{escape(group.name)}</th>'
    return f"<tr>{name}<td>{len(group.runs)}</td><td>{shown}</td></tr>"
