"""Writes results.md: a row for each map, a column for each method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from operations.files import replace_file
from operations.simulator import simulator_of
from pps_qmix.experiment.cells import Cell
from pps_qmix.experiment.estimate import shown
from pps_qmix.experiment.plots import figure_name
from pps_qmix.experiment.statistics import CONFIDENCE, OverSeeds

WIN_RATES = (0.5, 0.8, 0.9)
_NONE = "–"


def write_table(path: Path, name: str, found: Sequence[Cell]) -> None:
    """Write the page for all cells of an experiment, whole or not at all."""
    replace_file(path, page(name, found).encode())


def page(name: str, found: Sequence[Cell]) -> str:
    """Return the Markdown."""
    finished, planned = sum(len(cell.runs) for cell in found), sum(cell.planned for cell in found)
    drawn = dict.fromkeys(cell.map for cell in found if cell.runs)
    simulators = {simulator_of(run.run.settings.backend) for cell in found for run in cell.runs} - {0}
    played_by = f" Simulator version {simulators.pop()} played the battles." if simulators else ""
    parts = [
        f"# {_text(name)}",
        f"{finished} of {planned} runs are finished. Test win rates are interquartile means over seeds with a "
        f"{CONFIDENCE:.0%} bootstrap interval; (2/3) marks where only 2 of 3 seeds are finished.{played_by}",
        "## Final test win rate",
        _table(found, lambda cell: _rate(cell.final())),
        "## Best test win rate",
        _table(found, lambda cell: _rate(cell.best())),
        "## Time to a test win rate",
        "Median over seeds of the environment steps, and of the run's seconds, until an evaluation had it.",
        *(f"### {win_rate}\n\n{_table(found, partial(_time, win_rate))}" for win_rate in WIN_RATES),
        *(f"![test win rate on {map_} over environment steps]({figure_name(map_)})" for map_ in drawn),
    ]
    return "\n\n".join(parts) + "\n"


def _table(found: Sequence[Cell], show: Callable[[Cell], str]) -> str:
    maps = dict.fromkeys(cell.map for cell in found)
    methods = dict.fromkeys(cell.method.name for cell in found)
    rows = [_row(["map", *map(_text, methods)]), "|---" * (len(methods) + 1) + "|"]
    for map_ in maps:
        rows.append(_row([map_, *(_cell(cell, show) for cell in found if cell.map == map_)]))
    return "\n".join(rows)


def _cell(cell: Cell, show: Callable[[Cell], str]) -> str:
    if not cell.runs:
        return _NONE
    missing = f" ({len(cell.runs)}/{cell.planned})" if len(cell.runs) < cell.planned else ""
    return show(cell) + missing


def _rate(rate: OverSeeds) -> str:
    return f"{rate.iqm:.2f} [{rate.low:.2f}, {rate.high:.2f}]"


def _time(win_rate: float, cell: Cell) -> str:
    steps = cell.steps_to(win_rate)
    if math.isinf(steps):
        return f"reached by {cell.reached(win_rate)} of {len(cell.runs)}"
    return f"{steps:,.0f} steps, {shown(cell.seconds_to(win_rate))}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
