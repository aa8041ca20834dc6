"""The frame of a page and the style of all pages. Python, as a Flower app carries no other files."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from string import Template
from typing import Final

from operations.colours import PAGE_DARK, PAGE_LIGHT, css_variables


def framed(title: str, notice: str, sections: Iterable[str], *, style: str = "", script: str = "") -> str:
    """Return a page that loads nothing.

    `title` is text, what is below it, `notice`, and the sections are HTML; `style` and `script` are the page's own.
    """
    return _FRAME.substitute(
        title=escape(title),
        notice=notice,
        colours=css_variables(PAGE_LIGHT, PAGE_DARK),
        style=_STYLE + style,
        sections="\n".join(filter(None, sections)),
        script=f"\n<script>\n{script}</script>" if script else "",
    )


_FRAME: Final = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$colours$style</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="faint">$notice</p>
</header>
<main>
$sections
</main>$script
</body>
</html>
""")

_STYLE: Final = """\
:root { --lightness: 42%; }
@media (prefers-color-scheme: dark) { :root { --lightness: 66%; } }
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 12px; max-width: 1120px; color: var(--text); background: var(--page);
  font: 15px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
header { margin: 4px 0 12px; }
h1 { font-size: 1.4rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.05rem; margin: 0 0 8px; }
h3 { font-size: .95rem; margin: 0; }
p { margin: 0; }
.faint, .sub, .steps, .heights, figcaption { color: var(--faint); }
header p, dd, code { overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px;
  margin: 0 0 12px; min-width: 0; }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(158px, 1fr)); margin: 0 0 12px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 12px; }
.tile dt { color: var(--faint); font-size: .9rem; }
.tile dd { margin: 0; }
.tile .value, figure .value { font-size: 1.5rem; font-weight: 650; line-height: 1.25; }
.tile .sub { font-size: .87rem; }
.small { display: grid; gap: 14px 18px; grid-template-columns: repeat(auto-fill, minmax(min(250px, 100%), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .87rem; margin: 2px 0 0; }
.chart { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 2px 6px; margin: 6px 0 0;
  font-size: .82rem; }
.heights { position: relative; min-width: 3.4em; }
.heights span { position: absolute; right: 0; transform: translateY(-50%); white-space: nowrap; }
.plot { height: 90px; }
.large .plot { height: clamp(200px, 38vw, 330px); }
.plot svg { display: block; width: 100%; height: 100%; overflow: visible; }
.plot path { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.plot .grid { stroke: var(--line); stroke-width: 1; }
.plot .curve { stroke: var(--hue, var(--accent)); stroke-width: 2; }
.plot .run { stroke: var(--hue); stroke-width: 1; opacity: .45; }
.plot .points { stroke: var(--hue, var(--accent)); stroke-width: 6; stroke-linecap: round; opacity: .35; }
.plot .points.only { opacity: 1; }
.plot .ticks { stroke: var(--faint); stroke-width: 1; }
.plot .band { fill: var(--hue, var(--accent)); opacity: .16; }
.plot rect { fill: transparent; }
.plot rect:hover { fill: var(--faint); fill-opacity: .18; }
.steps { grid-column: 2; display: flex; justify-content: space-between; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; list-style: none; margin: 8px 0 0; padding: 0;
  font-size: .87rem; }
.legend li::before {
  content: ""; display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle;
  background: var(--hue, var(--accent));
}
.legend .points::before { width: 8px; height: 8px; border-radius: 50%; opacity: .45; }
.legend .band::before { height: 12px; opacity: .25; }
.legend .ticks::before { width: 1px; height: 10px; background: var(--faint); }
.bar { display: flex; height: 22px; border-radius: 6px; overflow: hidden; background: var(--line); }
.bar i { background: var(--hue); }
.scroll { overflow-x: auto; }
.agents td, .agents thead th { white-space: nowrap; }
.agents + p, .scroll + p { margin: 8px 0 0; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: 3px 14px 3px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  font-weight: 400; }
thead th, tbody th { font-weight: 600; }
details { margin: 10px 0 0; }
summary { cursor: pointer; font-weight: 600; padding: 3px 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
pre { margin: 4px 0 10px; padding: 8px 10px; border: 1px solid var(--line); border-radius: 8px;
  background: var(--page); white-space: pre-wrap; }
code { font: .87rem/1.5 ui-monospace, monospace; user-select: all; }
a { color: var(--accent); }
h3 a, th a[title] { color: inherit; text-decoration: underline dotted var(--faint); text-underline-offset: 3px; }
"""
