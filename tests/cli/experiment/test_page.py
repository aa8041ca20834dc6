"""index.html of an experiment: a chart for each method, the paper's win rates beside ours, the runs."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from pps_qmix.experiment.cells import cells
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.page import write_page
from pps_qmix.experiment.paper import paper_win_rate
from pps_qmix.experiment.spec import Method, parse_experiment
from tests.cli.experiment import small
from tests.cli.experiment.small import SMALL


def page_of(folder: Path, *rates: float, maps: tuple[str, ...] = ("3m", "2s3z")) -> str:
    """Return the text of a page where every run on `maps` has these win rates, and the others have not begun."""
    plan = parse_experiment(SMALL)
    results = [small.result(run, *(rates if run.map in maps else ()), finished=run.map in maps) for run in plan.runs]
    write_page(folder, plan.name, cells(results, plan.maps, plan.methods), folder / "runs")
    return (folder / "index.html").read_text(encoding="utf-8")


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<(?:script|style)>.*?</(?:script|style)>|<[^>]+>", " ", page, flags=re.DOTALL))


def test_each_method_has_a_chart_with_the_others_behind_it(tmp_path: Path) -> None:
    page = page_of(tmp_path, 0.25, 0.5)
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 4
    for chart in charts:
        assert [chart.count(f'class="{kind}"') for kind in ("curve", "band", "run")] == [1, 1, 1]
    assert 'aria-label="test win rate: A on 3m, 2 of 2 seeds"' in page


def test_the_paper_s_win_rates_stand_beside_ours(tmp_path: Path) -> None:
    text = " ".join(text_of(page_of(tmp_path, 0.25, 0.75, 0.5)).split())
    assert "Map Method Seeds Final test Best test Best test in the paper" in text
    assert "3m A 2 of 2 50 % (50 to 50 %) 75 % (75 to 75 %) 96 % 3m none 2 of 2 50 % (50 to 50 %)" in text
    assert "75 % (75 to 75 %) – 2s3z A" in text


def test_a_map_without_a_finished_run_has_a_line_and_no_chart(tmp_path: Path) -> None:
    page = page_of(tmp_path, 0.5, maps=("3m",))
    assert "3m: test win rate" in page
    assert "2s3z: test win rate" not in page
    assert "2s3z A 0 of 2 – – 85 %" in " ".join(text_of(page).split())
    assert "2 of 8" not in page
    assert "4 of 8 runs are finished" in page


def test_runs_that_have_begun_are_in_the_table(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.make()
    small.begin(folder, parse_experiment(SMALL).runs[0], 5000)
    assert "stopped" in text_of(page_of(tmp_path, 0.5))


@pytest.mark.parametrize(
    ("map_", "method", "rate"),
    [
        ("3m", Method("x", "a-pps", "vdn", "solo"), 0.96),
        ("corridor", Method("x", "rs-pps", "qmix", "solo"), 0.29),
        ("2s3z", Method("x", "none", "qmix", "joint", centralised=True), 0.73),
        ("2s3z", Method("x", "none", "vdn", "joint", centralised=True), 0.77),
        ("2s3z", Method("x", "none", "vdn", "solo"), None),
        ("2s3z", Method("x", "krum", "vdn", "solo"), None),
        ("3m", Method("x", "a-pps", "vdn", "solo", server_optimizer="fedadam"), None),
        ("8m", Method("x", "a-pps", "vdn", "solo"), None),
    ],
)
def test_what_the_paper_reports(map_: str, method: Method, rate: float | None) -> None:
    assert paper_win_rate(map_, method) == rate
