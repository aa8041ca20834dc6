"""Charts as SVG that stretches with the page. Labels are HTML beside it, so that they stay legible on a phone.

Coordinates of a drawing are 0..100 both ways, y down. Points are strokes without length: a stroke keeps its width when
the drawing is stretched.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from server.report.summary import Point
from server.report.words import percent

_MOST_POINTS = 400  # of a line, so that the page of a long run stays small
_MOST_COLOURS = 12  # that can be told apart
_READINGS = 60  # strips of a chart of several curves
_RATE_HEIGHTS = [(value, percent(value)) for value in (0.0, 0.25, 0.5, 0.75, 1.0)]

Curve = Sequence[tuple[float, float]]  # (x, y) in units of the axes, x ascending


class Series(NamedTuple):
    """A win rate over environment steps, one of several on a chart, and the band about it."""

    name: str
    curve: Curve  # y: 0..1
    colour: str  # a style, as `hue` returns it
    band: Sequence[tuple[float, float, float]] = ()  # (x, lowest y, highest y)
    is_faint: bool = False  # a line of one run, behind the others and without a name on hover


class Axis(NamedTuple):
    """The values at both ends of an axis."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Return where a value is: 0..100."""
        return 100.0 * (value - self.low) / (self.high - self.low)


def nice_axis(values: Iterable[float]) -> Axis:
    """Return an axis that holds the values, with some room; around a constant it has a height of its own."""
    found = list(values)
    low, high = min(found), max(found)
    if low == high:
        half = abs(low) / 2 or 0.5
        return Axis(low - half, high + half)
    room = 0.05 * (high - low)
    return Axis(0.0 if 0.0 <= low < 0.3 * high else low - room, high + room)


def thinned(curve: Curve, most: int = _MOST_POINTS) -> Curve:
    """Return every so many of the points, the last one among them: at most `most`."""
    stride = math.ceil(len(curve) / most) or 1
    return [point for number, point in enumerate(curve) if (len(curve) - 1 - number) % stride == 0]


def win_rate_chart(found: Sequence[Point], rounds: Sequence[int]) -> str:
    """Return the chart of the evaluations: faint points, moving average, ends of rounds, and a band around the average.

    The band is the 95 % interval, or the spread of several teams.
    """
    steps = Axis(0.0, float(max(found[-1].steps, *rounds, 1)))
    rates = Axis(0.0, 1.0)
    stride = math.ceil(len(found) / _MOST_POINTS)
    shown = [point for number, point in enumerate(found) if (len(found) - 1 - number) % stride == 0]
    upper = [(point.steps, point.band[1]) for point in shown]
    lower = [(point.steps, point.band[0]) for point in reversed(shown)]
    ticks = "".join(f"M{steps.at(end):.2f} 98v2" for end, _ in thinned([(float(end), 0.0) for end in rounds]))
    drawing = [
        f'<path class="band" d="{_path([*upper, *lower], steps, rates)}Z"/>',
        f'<path class="ticks" d="{ticks}"/>',
        f'<path class="points" d="{_dots([(p.steps, p.own.share) for p in shown], steps, rates)}"/>',
        f'<path class="curve" d="{_path([(p.steps, p.smooth.share) for p in shown], steps, rates)}"/>',
        *_hovers(shown, steps),
    ]
    last = found[-1]
    label = f"test win rate: {percent(last.smooth.share)} on average at step {last.steps:,}"
    return _chart(drawing, label, steps, _RATE_HEIGHTS, rates)


def win_rates_chart(series: Sequence[Series], label: str, end: float) -> str:
    """Return a chart of several win rates up to step `end`, with their values on hover."""
    steps, rates = Axis(0.0, end or 1.0), Axis(0.0, 1.0)
    drawing = []
    for each in sorted(series, key=lambda one: not one.is_faint):
        if each.band:
            upper = [(x, high) for x, _, high in each.band]
            lower = [(x, low) for x, low, _ in reversed(each.band)]
            drawing.append(f'<path class="band" style="{each.colour}" d="{_path([*upper, *lower], steps, rates)}Z"/>')
        kind = "run" if each.is_faint else "curve"
        if len(each.curve) > 1:
            drawn = _path(thinned(each.curve), steps, rates)
            drawing.append(f'<path class="{kind}" style="{each.colour}" d="{drawn}"/>')
        elif each.curve:
            drawing.append(f'<path class="points" style="{each.colour}" d="{_dots(each.curve, steps, rates)}"/>')
    named = [(each.name, each.curve) for each in series if each.curve and not each.is_faint]
    drawing += _readings(named, steps, percent)
    return _chart(drawing, label, steps, _RATE_HEIGHTS, rates)


def legend(parts: Iterable[tuple[str, str]]) -> str:
    """Return the key of a chart: texts with their colours, as `hue` returns them."""
    items = "".join(f'<li style="{colour}">{escape(text)}</li>' for text, colour in parts)
    return f'<ul class="legend">{items}</ul>'


def small_chart(curves: Mapping[str, Curve], label: str, *, is_share: bool = False) -> str:
    """Return a chart of curves over environment steps, by their names, all in one unit, with their values on hover."""
    steps = Axis(0.0, max(curve[-1][0] for curve in curves.values()) or 1.0)
    axis = nice_axis(y for curve in curves.values() for _, y in curve)
    if is_share:
        axis = Axis(max(axis.low, 0.0), min(axis.high, 1.0))
    drawing = []
    for number, curve in enumerate(curves.values()):
        colour = hue(number, len(curves))
        if len(curve) == 1:
            drawing.append(f'<path class="points only" style="{colour}" d="{_dots(curve, steps, axis)}"/>')
        else:
            drawing.append(f'<path class="curve" style="{colour}" d="{_path(thinned(curve), steps, axis)}"/>')
    shown = (lambda value: f"{100 * value:.3g} %") if is_share else number_text
    drawing += _readings(list(curves.items()), steps, shown)
    return _chart(drawing, label, steps, [(value, shown(value)) for value in axis], axis)


def told_apart(curves: Mapping[str, Curve]) -> Mapping[str, Curve]:
    """Return the curves, or the highest, the median and the lowest of more than colours can tell apart."""
    if len(curves) <= _MOST_COLOURS:
        return curves
    heights: dict[float, list[float]] = {}
    for curve in curves.values():
        for x, y in curve:
            heights.setdefault(x, []).append(y)
    of = f"of {len(curves)}"
    at = sorted(heights.items())
    return {
        f"highest {of}": [(x, max(found)) for x, found in at],
        f"median {of}": [(x, median(found)) for x, found in at],
        f"lowest {of}": [(x, min(found)) for x, found in at],
    }


def stacked_bar(parts: Sequence[tuple[str, float]]) -> str:
    """Return one bar with a share for each named part."""
    total = sum(value for _, value in parts) or 1.0
    cells = "".join(
        f'<i style="width:{100 * value / total:.2f}%;{hue(number, len(parts))}" title="{escape(name)}: '
        f'{percent(value / total)}"></i>'
        for number, (name, value) in enumerate(parts)
    )
    return f'<div class="bar" role="img" aria-label="shares of a round: {escape(_listed(parts, total))}">{cells}</div>'


def hue(number: int, of: int) -> str:
    """Return the style that gives curve or part `number` of `of`, and its key, their colour."""
    if of == 1:
        return "--hue:var(--accent)"
    return f"--hue:hsl({(215 + 360 * number / of) % 360:.0f} 62% var(--lightness))"


def number_text(value: float) -> str:
    """Return a number with three digits that count, as 1,234 or 0.0123."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _hovers(shown: Sequence[Point], steps: Axis) -> Iterable[str]:
    """Strips over the whole height: a pointer on one reads the evaluation that is nearest."""
    places = [steps.at(point.steps) for point in shown]
    borders = [0.0, *((a + b) / 2 for a, b in pairwise(places)), 100.0]
    for point, (left, right) in zip(shown, pairwise(borders), strict=True):
        low, high = point.band
        band = "95 % interval" if point.teams is None else "teams"
        text = (
            f"step {point.steps:,}: {percent(point.own.share)} ({point.own.won} of {point.own.battles}); "
            f"average {percent(point.smooth.share)}, {band} {percent(low)} to {percent(high)}"
        )
        yield f'<rect x="{left:.2f}" y="0" width="{right - left:.2f}" height="100"><title>{text}</title></rect>'


def _readings(curves: Sequence[tuple[str, Curve]], steps: Axis, shown_as: Callable[[float], str]) -> Iterable[str]:
    """Strips over the whole height: a pointer on one reads all curves there, linear between their points."""
    places = sorted({x for _, curve in curves for x, _ in curve})
    shown = [x for x, _ in thinned([(x, 0.0) for x in places], _READINGS)]
    borders = [0.0, *((steps.at(a) + steps.at(b)) / 2 for a, b in pairwise(shown)), 100.0]
    for x, (left, right) in zip(shown, pairwise(borders), strict=True):
        told = [(name, shown_as(y)) for name, curve in curves if (y := _at(curve, x)) is not None]
        where = f"step {x:,.0f}"
        text = escape("\n".join(f"{name or where}: {value}" for name, value in told))
        if all(name for name, _ in told):
            text = f"{where}\n{text}"
        yield f'<rect x="{left:.2f}" y="0" width="{right - left:.2f}" height="100"><title>{text}</title></rect>'


def _at(curve: Curve, x: float) -> float | None:
    """Return the height of a curve at `x`, linear between its points; None outside of them."""
    if not curve[0][0] <= x <= curve[-1][0]:
        return None
    after = max(1, bisect_left(curve, x, key=lambda point: point[0]))
    (x0, y0), (x1, y1) = curve[after - 1], curve[min(after, len(curve) - 1)]
    return y0 + (y1 - y0) * (x - x0) / ((x1 - x0) or 1.0)


def _chart(drawing: Sequence[str], label: str, steps: Axis, heights: Sequence[tuple[float, str]], axis: Axis) -> str:
    grid = "".join(f"M0 {100 - axis.at(value):.2f}h100" for value, _ in heights)
    labels = "".join(f'<span style="top:{100 - axis.at(value):.2f}%">{text}</span>' for value, text in heights)
    return (
        f'<div class="chart"><div class="heights">{labels}</div><div class="plot">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<path class="grid" d="{grid}"/>{"".join(drawing)}</svg></div>'
        f'<div class="steps"><span>0</span><span>{steps.high:,.0f} steps</span></div></div>'
    )


def _path(curve: Curve, x: Axis, y: Axis) -> str:
    return "M" + "L".join(f"{x.at(a):.2f} {100 - y.at(b):.2f}" for a, b in curve)


def _dots(curve: Curve, x: Axis, y: Axis) -> str:
    return "".join(f"M{x.at(a):.2f} {100 - y.at(b):.2f}h0" for a, b in curve)


def _listed(parts: Sequence[tuple[str, float]], total: float) -> str:
    return ", ".join(f"{name} {percent(value / total)}" for name, value in parts)
