"""The figures of the rounds: how learning and sharing went, the agents at the end, where the time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from server.report import charts, html
from server.report.summary import Row, last_whole_round, mean_seconds
from server.report.teams import team_weights
from server.report.words import AGENT_FIGURES, FIGURES, TIMES, WEIGHTS, Figure, percent

_METRICS_PAGE: Final = "https://github.com/pps-qmix/pps-qmix/blob/main/docs/metrics.md"
_SAME: Final = 1e-9


def small_charts(rounds: Sequence[Row]) -> str:
    figures, constant = [], []
    for figure in FIGURES:
        curve = _curve(rounds, figure.name)
        if not curve:
            continue
        if len(curve) > 1 and max(y for _, y in curve) - min(y for _, y in curve) < _SAME:
            constant.append(f"{_within(figure.label)} {_value(figure, curve[-1][1])}")
            continue
        chart = charts.small_chart({"": curve}, figure.label, is_share=figure.is_share)
        only = f'<p class="value">{_value(figure, curve[-1][1])}</p>'  # a line needs two points
        figures.append(html.figure(_linked(figure), chart if len(curve) > 1 else only, figure.meaning))
    several = bool(rounds) and "teams" in rounds[-1]
    if weights := charts.told_apart(team_weights(rounds) if several else _weights(rounds)):
        shares = WEIGHTS._replace(meaning=WEIGHTS.meaning.format("team" if several else "agent"))
        figures.append(html.figure(_linked(shares), _chart_of_weights(weights), shares.meaning))
    if not figures:
        return ""
    same = f'<p class="faint">The same in all rounds: {"; ".join(constant)}.</p>' if constant else ""
    link = f'<p class="faint">Formulas: <a href="{_METRICS_PAGE}">metrics</a>. All rounds: metrics.jsonl.</p>'
    found = f'<div class="small">{"".join(figures)}</div>'
    return html.section("Learning and sharing", f"{found}{same}{_layers(rounds)}{link}")


def _chart_of_weights(weights: Mapping[str, charts.Curve]) -> str:
    """The weights as curves with their key; after a single round as values."""
    if all(len(curve) == 1 for curve in weights.values()):
        values = [(name, charts.number_text(curve[0][1])) for name, curve in weights.items()]
        return f'<div class="agents">{html.table(("", ""), values)}</div>'
    key = charts.legend((name, charts.hue(number, len(weights))) for number, name in enumerate(weights))
    return charts.small_chart(weights, "aggregation weights") + key


def _curve(rounds: Sequence[Row], name: str) -> charts.Curve:
    """Return a figure of the rounds, their own or one of sharing, at their ends."""
    values = ((row["steps"], row.get(name, row["shared"].get(name))) for row in rounds)
    return [(float(steps), float(value)) for steps, value in values if value is not None]


def _weights(rounds: Sequence[Row]) -> dict[str, charts.Curve]:
    """Return each agent's weight in the aggregates, by its name; nothing where they never differ."""
    names = sorted({name for row in rounds for name in row["shared"] if name.startswith("weight/")}, key=_seat_of)
    found = {f"agent {_seat_of(name)}": _curve(rounds, name) for name in names}
    differ = any(len({round(row["shared"][name], 9) for name in names if name in row["shared"]}) > 1 for row in rounds)
    return found if differ else {}


def _seat_of(name: str) -> int:
    return int(name.partition("/")[2])


def _layers(rounds: Sequence[Row]) -> str:
    """The disagreement in each tensor, first and last."""
    names = [name for name in (rounds[-1]["shared"] if rounds else ()) if name.startswith("divergence/")]
    curves = {name.partition("/")[2]: _curve(rounds, name) for name in names}
    found = (
        (name, charts.number_text(curve[0][1]), charts.number_text(curve[-1][1]))
        for name, curve in curves.items()
        if curve
    )
    if not names:
        return ""
    return html.details("Disagreement by layer", html.table(("Tensor", "First round", "Last round"), found))


def agents(rounds: Sequence[Row]) -> str:
    """The agents' figures in the newest whole round of a single team."""
    last = last_whole_round(rounds)
    if last is None or not last["seats"] or "teams" in last:
        return ""
    seats = {seat: {**report, "weight": last["shared"].get(f"weight/{seat}")} for seat, report in last["seats"].items()}
    lines, same = [], []
    for figure in AGENT_FIGURES:
        values = [report.get(figure.name) for report in seats.values()]
        if not any(isinstance(value, (int, float)) for value in values):
            continue
        shown = [charts.number_text(v) if isinstance(v, (int, float)) else "-" for v in values]
        if len(values) > 1 and values.count(values[0]) == len(values):
            same.append(f"{_within(figure.label)} {shown[0]}")
        else:
            lines.append((_linked(figure), *shown))
    head = ("Figure", *(f"Agent {escape(seat)}" for seat in seats))
    table = f'<div class="agents">{html.table_of_html(head, lines)}</div>' if lines else ""
    equal = f'<p class="faint">The same for all agents: {"; ".join(same)}.</p>' if same else ""
    missing = ", ".join(f"agent {seat}" for seat in [*last["missing"], *last["rejected"]])
    note = f'<p class="faint">Without {escape(missing)}.</p>' if missing else ""
    return html.section(f"Agents in round {last['round']}", f"{table}{equal}{note}")


def _linked(figure: Figure) -> str:
    """Return what a figure is called, with what it is on hover, as a link to where that is documented."""
    return f'<a href="{_METRICS_PAGE}#{figure.section}" title="{escape(figure.meaning)}">{figure.label}</a>'


def _value(figure: Figure, value: float) -> str:
    return percent(value) if figure.is_share else charts.number_text(value)


def _within(label: str) -> str:
    """Return a label as it is within a sentence: `TD error` stays."""
    return label if label[:2].isupper() else label[0].lower() + label[1:]


def times(rows: Sequence[Row]) -> str:
    """Where the time of a round goes."""
    seconds = mean_seconds(rows)
    parts = [(label, seconds[name]) for name, (label, _) in TIMES.items() if seconds.get(name)]
    if not parts:
        return ""
    meanings = dict(TIMES.values())
    legend = "".join(
        f'<li style="{charts.hue(number, len(parts))}" title="{meanings[label]}">{label} {value:.2f} s</li>'
        for number, (label, value) in enumerate(parts)
    )
    total = f'<p class="faint">A round takes {seconds.get("round", 0.0):.1f} s on average.</p>'
    return html.section("Where the time goes", f'{charts.stacked_bar(parts)}<ul class="legend">{legend}</ul>{total}')
