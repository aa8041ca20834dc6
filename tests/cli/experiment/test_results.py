"""From metrics.jsonl to rows, tables and figures; the numbers are worked out by hand."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from operations.simulator import SIMULATOR
from pps_qmix.experiment.cells import Cell, cells
from pps_qmix.experiment.estimate import seconds_left, seconds_of_all, seconds_per_step, shown
from pps_qmix.experiment.plots import draw_map
from pps_qmix.experiment.results import (
    COLUMNS,
    evaluations,
    first_at,
    measured_per_step,
    result,
    win_rates_at,
    write_csv,
)
from pps_qmix.experiment.schedule import Entry, State
from pps_qmix.experiment.spec import parse_experiment
from pps_qmix.experiment.statistics import median_time, over_seeds
from pps_qmix.experiment.table import page
from tests.cli.experiment import small
from tests.cli.experiment.small import SMALL, round_row
from tests.metrics_rows import evaluation_row
from tests.saved_figures import saved_figures

ROWS = [
    evaluation_row(500, 8),
    evaluation_row(1000, 16),
    round_row(1, 2000, seconds=20.0),
    evaluation_row(3000, 32, round_=2),
    round_row(2, 3000, seconds=5.0),
    evaluation_row(3500, 32, round_=3),  # its round has not ended
]


def tiny(*rates: list[float], finished: bool = True) -> Cell:
    """A cell with one run for each list of win rates."""
    runs = [run for run in parse_experiment(SMALL).runs if run.map == "3m" and run.method.name == "A"]
    run = runs[0]
    return Cell("3m", run.method, len(rates), [small.result(run, *each, finished=finished) for each in rates])


# --- rows -----------------------------------------------------------------------------------------------------


def test_an_evaluation_s_seconds_go_with_its_round_s_steps() -> None:
    found = evaluations(ROWS)
    assert [each.steps for each in found] == [500, 1000, 3000]
    assert [each.seconds for each in found] == [5.0, 10.0, 25.0]
    assert [each.win_rate for each in found] == [0.25, 0.5, 1.0]
    assert evaluations(ROWS[:2]) == []  # no round has ended
    assert evaluations([]) == []


def test_a_win_rate_is_there_at_the_first_evaluation_that_has_it() -> None:
    found = evaluations([*ROWS[:4], evaluation_row(3000, 4, round_=2), ROWS[4]])
    first = first_at(found, 0.5)
    assert first is not None
    assert (first.steps, first.seconds) == (1000, 10.0)
    assert first_at(found[:2], 0.8) is None


def test_win_rates_are_linear_between_evaluations() -> None:
    assert win_rates_at(evaluations(ROWS), np.array([100, 750, 2000, 9000])).tolist() == [0.25, 0.375, 0.75, 1.0]


def test_the_csv_has_a_row_for_each_evaluation(tmp_path: Path) -> None:
    run = parse_experiment(SMALL).runs[3]
    write_csv(tmp_path / "results.csv", [result(Entry(run, State.CUT, 3000), ROWS)])
    with open(tmp_path / "results.csv", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert tuple(header) == COLUMNS
    who = [
        "2s3z",
        "none",
        "qmix",
        "solo",
        "False",
        "",
        "",
        "0",
        "1",
        "all",
        "4",
        "2s3z-none-qmix-solo-s4",
        str(SIMULATOR),
    ]
    assert rows == [
        [*who, "500", "5.0", "8", "32", "0.25", "4", "21.5"],
        [*who, "1000", "10.0", "16", "32", "0.5", "8", "21.5"],
        [*who, "3000", "25.0", "32", "32", "1", "16", "21.5"],
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


# --- statistics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "iqm"),
    [
        ([0.3], 0.3),
        ([0.1, 0.5], 0.3),
        ([0.0, 0.3, 0.9], 0.4),  # no quarter of three can be cut off
        ([1.0, 0.0, 0.2, 0.4], 0.3),
        ([0.0, 0.1, 0.2, 0.6, 0.7, 0.8, 1.0, 1.0], (0.2 + 0.6 + 0.7 + 0.8) / 4),
    ],
)
def test_the_interquartile_mean_leaves_out_the_outer_quarters(values: list[float], iqm: float) -> None:
    assert over_seeds(values).iqm == pytest.approx(iqm)


def test_of_three_seeds_the_interval_is_from_the_worst_to_the_best() -> None:
    """A resample has the same seed three times with probability 1/27, which is more than the 2.5 % left at an end."""
    found = over_seeds([[0.6, 0.5], [0.1, 0.5], [0.2, 0.5]])
    assert found.low.tolist() == pytest.approx([0.1, 0.5])
    assert found.high.tolist() == pytest.approx([0.6, 0.5])


def test_an_interval_narrows_with_seeds_and_is_repeatable() -> None:
    values = np.random.default_rng(7).random(30)
    few, many = over_seeds(values[:5]), over_seeds(values)
    assert many.high - many.low < few.high - few.low
    assert many.low < many.iqm < many.high
    assert many == over_seeds(values)


def test_one_seed_has_no_spread() -> None:
    assert over_seeds([[0.25, 0.5]]).low.tolist() == over_seeds([[0.25, 0.5]]).high.tolist() == [0.25, 0.5]


def test_a_time_is_the_median_and_infinite_where_most_never_got_there() -> None:
    assert median_time([math.inf, 3.0, 1.0]) == 3.0
    assert median_time([math.inf, math.inf, 1.0]) == math.inf
    assert median_time([1.0, math.inf]) == math.inf


# --- cells ----------------------------------------------------------------------------------------------------


def test_a_cell_holds_the_finished_runs_of_a_method_on_a_map() -> None:
    experiment = parse_experiment(SMALL)
    results = [small.result(run, 0.5, finished=run.seed == 4) for run in experiment.runs]
    found = cells(results, experiment.maps, experiment.methods)
    assert [(cell.map, cell.method.name, cell.planned) for cell in found] == [
        *(("3m", "A", 2), ("3m", "none", 2), ("2s3z", "A", 2), ("2s3z", "none", 2))
    ]
    assert [[each.run.seed for each in cell.runs] for cell in found] == [[4]] * 4


def test_best_final_and_times_of_a_cell() -> None:
    cell = tiny([0.0, 0.5, 0.75, 0.5], [0.25, 1.0, 0.75, 0.25], [0.0, 0.0, 0.5, 0.75])
    final = cell.final()
    assert [float(each) for each in (final.iqm, final.low, final.high)] == [0.5, 0.25, 0.75]
    assert cell.best().iqm == pytest.approx((0.75 + 1.0 + 0.75) / 3)
    assert (cell.steps_to(0.5), cell.seconds_to(0.5), cell.reached(0.5)) == (10_000, 20.0, 3)
    assert (cell.steps_to(0.9), cell.reached(0.9)) == (math.inf, 1)


def test_a_curve_is_over_the_steps_at_which_evaluations_were_due() -> None:
    steps, rate = tiny([0.0, 0.5, 0.75, 1.0], [0.5, 0.5, 0.25, 1.0]).curve()
    assert steps.tolist() == [5000, 10_000, 15_000, 20_000]
    assert rate.iqm.tolist() == [0.25, 0.5, 0.5, 1.0]
    assert rate.low.tolist() == [0.0, 0.5, 0.25, 1.0]
    assert rate.high.tolist() == [0.5, 0.5, 0.75, 1.0]


# --- table and figures ----------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_map_and_a_column_for_each_method() -> None:
    experiment = parse_experiment(SMALL.replace('"A"', '"A|B"'))
    rates = {4: (0.25, 1.0, 0.5, 0.75), 2: (0.0, 0.5, 0.75, 0.25)}
    results = [
        small.result(run, *rates[run.seed], finished=run.map == "3m" and (run.seed == 4 or run.method.name != "none"))
        for run in experiment.runs
    ]
    lines = page("small", cells(results, experiment.maps, experiment.methods)).splitlines()
    tables = [lines[number : number + 4] for number, line in enumerate(lines) if line.startswith("| map |")]
    assert lines[2].startswith("3 of 8 runs are finished.")
    assert all(table[:2] == [r"| map | A\|B | none |", "|---|---|---|"] for table in tables)
    assert [table[2] for table in tables] == [
        "| 3m | 0.50 [0.25, 0.75] | 0.75 [0.75, 0.75] (1/2) |",
        "| 3m | 0.88 [0.75, 1.00] | 1.00 [1.00, 1.00] (1/2) |",
        "| 3m | 10,000 steps, 20 s | 10,000 steps, 20 s (1/2) |",
        "| 3m | reached by 1 of 2 | 10,000 steps, 20 s (1/2) |",
        "| 3m | reached by 1 of 2 | 10,000 steps, 20 s (1/2) |",
    ]
    assert [table[3] for table in tables] == ["| 2s3z | – | – |"] * 5
    assert [line for line in lines if "](" in line] == [
        "![test win rate on 3m over environment steps](win-rate-3m.png)"
    ]


def test_the_figure_has_a_line_and_a_band_for_each_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = saved_figures(monkeypatch)
    other = parse_experiment(SMALL.replace('"none"\nstrategy', '"$x$"\nstrategy')).methods[1]
    found = [tiny([0.0, 0.5, 0.75, 1.0], [0.5, 0.5, 0.25, 1.0]), Cell("3m", other, 1, tiny([0.5] * 4).runs)]
    draw_map(tmp_path, found)
    (axes,) = figures[0].axes
    assert axes.get_title() == "3m"
    assert axes.get_xlabel() == "environment steps"
    assert axes.get_ylabel().startswith("test win rate")
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["A, 2 seeds", "$x$, 1 seed"]
    assert [np.asarray(line.get_ydata()).tolist() for line in axes.lines] == [[0.25, 0.5, 0.5, 1.0], [0.5] * 4]
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 2
    assert len(axes.collections) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["win-rate-3m.pdf", "win-rate-3m.png"]
    assert matplotlib.image.imread(tmp_path / "win-rate-3m.png").shape[2] == 4


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    draw_map(tmp_path, [tiny()])
    assert list(tmp_path.iterdir()) == []


# --- the estimate ---------------------------------------------------------------------------------------------


def test_runs_take_longer_the_more_agents_they_have_and_the_more_they_learn() -> None:
    settings = parse_experiment(SMALL).runs[0].settings
    assert seconds_per_step(settings, 6) == 2 * seconds_per_step(settings, 3)
    more = settings.model_copy(update={"batch_size": 96})
    assert seconds_per_step(more, 3) > seconds_per_step(settings, 3)


def test_the_estimate_takes_what_was_measured_where_something_was() -> None:
    runs = parse_experiment(SMALL).runs
    measured = measured_per_step([small.result(run, *[0.5] * run.seed) for run in runs if run.map == "3m"])
    assert measured == {"3m": 10 / 5000}
    assert seconds_left(Entry(runs[0], State.FINISHED, 20_000), 3, measured["3m"]) == 0
    assert seconds_left(Entry(runs[1], State.CUT, 10_000), 3, measured["3m"]) == pytest.approx(20, abs=10)
    new = Entry(runs[2], State.NEW, 0)
    assert seconds_left(new, 5, None) > 20_000 * seconds_per_step(runs[2].settings, 5)


def test_the_jobs_share_the_runs() -> None:
    assert seconds_of_all([], 2) == 0
    assert seconds_of_all([10, 10, 10], 1) == 30
    assert seconds_of_all([10, 10, 10], 2) == 20
    assert seconds_of_all([10, 10, 10], 8) == 10
    assert [shown(each) for each in (40, 246, 720, 9000, 360_000)] == ["40 s", "4.1 min", "12 min", "2.5 h", "100 h"]
