"""What a reader asks for first: tiles with the figures of the end, and the learning curve."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from server.report import charts, html
from server.report.summary import LAST, WINDOW, Row, played_seconds, points, together
from server.report.words import duration, percent

_RUNTIMES: Final = {"flower": "over Flower", "in-process": "in one process"}
_HIGHEST_RETURN: Final = {"skirmish": 20.0, "smac": 20.0}  # what SMAC scales rewards to
_SCENARIO: Final = re.compile(r"(protoss|terran|zerg)_\d+_vs_\d+")  # a map of SMACv2


def tiles(settings: Mapping[str, Any], runtime: str | None, evaluations: Sequence[Row], rounds: Sequence[Row]) -> str:
    """Return a tile for each figure; `runtime` is what run.json says."""
    found = [*_of_tests(evaluations, _highest_return(settings)), *_of_play(settings, runtime, rounds)]
    cells = "".join(
        f'<div class="tile"><dt>{name}</dt><dd class="value">{value}</dd><dd class="sub">{sub}</dd></div>'
        for name, value, sub in ((name, value, _unbroken(escape(sub))) for name, value, sub in found)
    )
    return f'<dl class="tiles">{cells}</dl>' if found else ""


def _unbroken(text: str) -> str:
    """Return a text whose percentages stay on one line."""
    return text.replace(" %", "&nbsp;%")


def _highest_return(settings: Mapping[str, Any]) -> float | None:
    """Return the highest return of a battle; None where the run's rules, backend or map pay otherwise.

    SMACv2 draws teams and scales rewards by the mean team: a victory over a strong one pays more (docs/smacv2.md).
    """
    otherwise = "reward" in settings["rules"] or _SCENARIO.fullmatch(str(settings["map"]))
    return None if otherwise else _HIGHEST_RETURN.get(str(settings["backend"]))


def _of_tests(evaluations: Sequence[Row], highest: float | None) -> Iterator[tuple[str, str, str]]:
    """The name, the figure and a remark of each tile."""
    if not evaluations:
        return
    final, last = together(evaluations[-1:]), evaluations[-LAST:]
    mean, best = together(last), max(evaluations, key=lambda row: row["win-rate"])
    if len(last) > 1:
        yield f"Mean of the last {len(last)} tests", percent(mean.share), f"{mean.won:,} of {mean.battles:,} battles"
    low, high = final.interval
    won = f"{final.won} of {final.battles} battles"
    yield "Final test win rate", percent(final.share), f"{won}; 95 % interval {100 * low:.0f} to {percent(high)}"
    if len(evaluations) > 1:
        luckiest = f"at step {best['steps']:,}; the luckiest of {len(evaluations)}"
        yield "Single best test", percent(best["win-rate"]), luckiest
    of = f" of {highest:g}" if highest else ""
    yield "Final test return", f"{evaluations[-1]['return']:.1f}{of}", "mean reward of the team in a battle"


def _of_play(settings: Mapping[str, Any], runtime: str | None, rounds: Sequence[Row]) -> Iterator[tuple[str, str, str]]:
    if not rounds:
        return
    steps, number = rounds[-1]["steps"], rounds[-1]["round"]
    rounds_played = f"{number} round{'' if number == 1 else 's'}"
    yield "Environment steps", f"{steps:,}", f"of {settings['total-steps']:,}, in {rounds_played}"
    where = [_RUNTIMES[runtime]] if runtime in _RUNTIMES else []
    yield "Time", duration(played_seconds(rounds)), ", ".join([*where, f"on {settings['device']}"])


def learning_curve(evaluations: Sequence[Row], rounds: Sequence[Row]) -> str:
    if not evaluations:
        return ""
    chart = charts.win_rate_chart(points(evaluations), [row["steps"] for row in rounds])
    several = "spread" in evaluations[-1]
    band = "lowest to highest team" if several else "95 % interval of the mean"
    legend = (
        f'<ul class="legend"><li class="curve">mean of {WINDOW} tests</li><li class="points">one test</li>'
        f'<li class="band">{band}</li><li class="ticks">end of a round</li></ul>'
    )
    lines = [
        (
            f"{row['steps']:,}",
            f"{row['won']} of {row['battles']}",
            *([_between(row, "win-rate")] if several else []),
            f"{row['return']:.2f}",
            *([_between(row, "return")] if several else []),
            f"{row['length']:.1f}",
        )
        for row in evaluations
    ]
    head = ("Step", "Won", *(["Teams"] if several else []), "Return", *(["Teams"] if several else []), "Battle length")
    table = html.details("All tests", html.table(head, lines))
    return html.section("Test win rate", f'<div class="large">{chart}</div>{legend}{table}')


def _between(row: Row, name: str) -> str:
    """Return the lowest and the highest of the teams in a figure."""
    low, high = row["spread"][name]
    return f"{100 * low:.0f} to {percent(high)}" if name == "win-rate" else f"{low:.2f} to {high:.2f}"
