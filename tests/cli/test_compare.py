"""`pps-qmix compare`: which runs it compares, what it says of them, how they are grouped."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.main import main
from pps_qmix.comparison.compared_run import Reader, compared_run, runs_in
from pps_qmix.comparison.groups import maps_of, mean_curve
from pps_qmix.comparison.page import write_index
from pps_qmix.configuration import Value, default_config
from pps_qmix.status import BROKEN, FINISHED, STOPPED
from server.run_directory import RunDirectory
from server.settings import check_settings
from tests.cli.browser import Page
from tests.cli.experiment.small import round_row
from tests.metrics_rows import evaluation_row

NASTY = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, surroundings: None) -> None:
    monkeypatch.chdir(tmp_path)


def a_run(runs: Path, name: str, *won: int, **settings: Value) -> Path:
    """Make a run directory with an evaluation of 32 battles every 5,000 steps, in one round."""
    named = {each.replace("_", "-"): value for each, value in settings.items()}
    config = {**default_config(), "total-steps": 10_000, **named, "runs": str(runs), "run": name}
    directory = RunDirectory.create(check_settings(config))
    for number, each in enumerate(won, 1):
        directory.append(evaluation_row(5000 * number, each))
    if won:
        directory.append(round_row(1, 5000 * len(won), 60.0))
    return directory.path


class Table(HTMLParser):
    """Reads the sortable table of a page: the texts of its cells and its links."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.lines: list[list[str]] = []
        self.links: list[str] = []
        self._inside = False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._inside = "data-sortable" in dict(attrs)
        elif tag == "tr" and self._inside:
            self.lines.append([])
        elif tag in ("td", "th") and self._inside:
            self.lines[-1].append("")
        elif tag == "a" and self._inside:
            self.links.append(unquote(dict(attrs)["href"] or ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "table"

    def handle_data(self, data: str) -> None:
        if self._inside and self.lines and self.lines[-1]:
            self.lines[-1][-1] += data


def test_without_names_all_runs_of_the_folder_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(tmp_path / "runs", "second", 8, 16, strategy="a-pps", seed=3)
    stopped = a_run(tmp_path / "runs", "first", 32, map="2s3z", base="qmix")
    (stopped / "report.html").touch()
    (stopped / "watch.html").touch()
    assert main(["compare"]) == 0
    assert capsys.readouterr().out == "page: runs/index.html\n"
    table = Table(tmp_path / "runs" / "index.html")
    head, *lines = table.lines
    assert head[:5] == ["Run", "Map", "Strategy", "Base", "Seed"]
    assert [" ".join(line) for line in lines] == [
        "first 2s3z RS-PPS qmix 0 100 % 100 % 89 to 100 % 5,000 1 min 0 s stopped watch",
        "second 3m A-PPS vdn 3 38 % 50 % 34 to 66 % 10,000 1 min 0 s finished –",
    ]
    assert table.links == ["first/report.html", "first/watch.html"]


def test_named_runs_are_compared_from_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (a_run(tmp_path / "runs", "one", 8) / "report.html").touch()
    (a_run(tmp_path / "other place", "two", 8) / "report.html").touch()
    a_run(tmp_path / "runs", "three", 8)
    assert main(["compare", "one", "other place/two"]) == 0
    assert capsys.readouterr().out == "page: compare.html\n"
    assert Table(Path("compare.html")).links == ["runs/one/report.html", "other place/two/report.html"]
    Path("pages").mkdir()
    assert main(["compare", "one", "--out", "pages/x.html"]) == 0
    assert Table(Path("pages/x.html")).links == ["../runs/one/report.html"]


def test_the_page_names_the_command_that_shows_its_runs_live(tmp_path: Path) -> None:
    a_run(tmp_path / "runs", "one", 8)
    a_run(tmp_path / "other place", "two", 8)
    assert main(["compare", "one"]) == 0
    assert f"pps-qmix dashboard {tmp_path}/runs</code>" in Path("compare.html").read_text(encoding="utf-8")
    assert main(["compare", "one", "other place/two"]) == 0
    assert "pps-qmix dashboard" not in Path("compare.html").read_text(encoding="utf-8")  # no folder has both


def test_what_cannot_be_compared_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare"]) == 2
    assert capsys.readouterr().err == "pps-qmix: runs: expected a folder with runs, found none in runs\n"
    broken = a_run(tmp_path / "runs", "broken")
    (broken / "run.json").write_text("{")
    assert main(["compare", "nothing"]) == 2
    assert "unknown run 'nothing'" in capsys.readouterr().err
    assert main(["compare", "broken"]) == 1
    assert "runs/broken cannot be read; pps-qmix status" in capsys.readouterr().out
    assert Table(Path("compare.html")).lines[1][-2:] == [BROKEN, "–"]


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "evaluation", "round": 1, "steps": 5},
        {"kind": "evaluation", "round": 1, "steps": 5, "won": 0, "battles": 0},
        {"kind": "evaluation", "round": 1, "steps": "few", "won": 1, "battles": 2},
        {"kind": "evaluation", "round": 1, "steps": 5, "won": 1, "battles": "many"},
        {"kind": "round", "round": 1, "steps": "few", "seconds": {}},
        {"kind": "round", "round": 1, "steps": 5, "seconds": None},
    ],
)
def test_rows_that_nothing_wrote_break_one_run_alone(tmp_path: Path, row: dict[str, Any]) -> None:
    path = a_run(tmp_path / "runs", "odd")
    (path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    a_run(tmp_path / "runs", "right", 8)
    assert [line[-2] for line in Table(write_index(tmp_path / "runs", 10)).lines[1:]] == [BROKEN, STOPPED]


@pytest.mark.parametrize("name", [NASTY[:8] + "b>", "two\nlines", "a & 'b' \"c\"", os.fsdecode(b"\xff")])
def test_no_name_is_taken_for_markup(tmp_path: Path, name: str) -> None:
    path = a_run(tmp_path / "runs", "plain", 8, strategy_settings="", rules="")
    document = json.loads((path / "run.json").read_text())
    document["settings"] |= {"map": NASTY, "strategy": NASTY, "hidden": NASTY}
    (path / "run.json").write_text(json.dumps(document))
    path.rename(path.with_name(name))
    a_run(tmp_path / "runs", "other", 8, map="3m")
    (tmp_path / "runs" / name / "report.html").touch()
    page = write_index(tmp_path / "runs", 10)
    assert "alert(1)</script>" not in page.read_text(encoding="utf-8")
    assert os.fsencode(name) in {os.fsencode(os.path.dirname(link)) for link in _raw_links(page)}


def _raw_links(page: Path) -> Iterator[str]:
    for link in Table(page).links:
        yield unquote(link) if "\ufffd" not in link else os.fsdecode(b"\xff/report.html")


def test_at_a_run_s_end_the_newest_runs_are_compared(tmp_path: Path) -> None:
    for age, name in enumerate(("c", "b", "a")):
        path = a_run(tmp_path / "my runs", name, 8)
        for file in ("run.json", "metrics.jsonl"):
            os.utime(path / file, (1000.0 - age, 1000.0 - age))
    page = write_index(tmp_path / "my runs", 2)
    assert [line[0] for line in Table(page).lines[1:]] == ["b", "c"]
    assert "Older runs that are left out: 1;" in page.read_text(encoding="utf-8")


# --- groups ---------------------------------------------------------------------------------------------------


def test_runs_that_differ_by_seed_alone_are_one_group(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for seed in (0, 1):
        a_run(runs, f"a{seed}", 8, seed=seed, threads=seed + 1)
    a_run(runs, "b", 8, hidden=128)
    a_run(runs, "c", 8, strategy="none", mixing="joint", centralised=True)
    a_run(runs, "d", map="2s3z")
    found = maps_of(map(compared_run, runs_in(runs)))
    names = {map_: {group.name: [run.name for run in group.runs] for group in groups} for map_, groups in found.items()}
    assert names == {
        "3m": {
            "RS-PPS on VDN, hidden 64": ["a0", "a1"],
            "RS-PPS on VDN, hidden 128": ["b"],
            "centralised VDN, hidden 64": ["c"],
        },
        "2s3z": {"RS-PPS on VDN": ["d"]},
    }


def test_battles_of_another_simulator_are_another_group(tmp_path: Path) -> None:
    older = a_run(tmp_path, "older", 8)
    document = json.loads((older / "run.json").read_text())
    (older / "run.json").write_text(json.dumps({**document, "simulator": 1}))
    a_run(tmp_path, "today", 8)
    (groups,) = maps_of(map(compared_run, runs_in(tmp_path))).values()
    assert [len(group.runs) for group in groups] == [1, 1]
    assert groups[0].name == "RS-PPS on VDN, simulator 1"


def test_the_mean_of_curves_ends_with_the_first_of_them() -> None:
    long, short = [(10.0, 0.0), (20.0, 1.0), (30.0, 1.0)], [(15.0, 0.5), (20.0, 0.0)]
    assert mean_curve([long, [], short]) == [
        (10.0, 0.25, 0.0, 0.5),  # before its first point a curve is as high as there
        (15.0, 0.5, 0.5, 0.5),
        (20.0, 0.5, 0.0, 1.0),
    ]
    assert mean_curve([]) == []


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=600), min_size=1, max_size=4))
def test_the_band_holds_the_mean(heights: list[list[float]]) -> None:
    curves = [[(float(step), height) for step, height in enumerate(each)] for each in heights]
    found = mean_curve(curves)
    assert found[-1][0] == min(map(len, heights)) - 1
    assert len(found) <= 201
    assert all(low - 1e-9 <= mean <= high + 1e-9 for _, mean, low, high in found)


def test_a_reader_sees_what_is_new(tmp_path: Path) -> None:
    path = a_run(tmp_path, "one", 8)
    reader = Reader()
    (before,) = reader.read([path])
    assert (before.state, before.steps, before.last_tests) == (STOPPED, 5000, (8, 32))
    assert reader.read([path])[0].tests is before.tests  # nothing was read again
    with open(path / "metrics.jsonl", "a") as file:
        file.write(
            json.dumps(evaluation_row(10_000, 16, round_=2)) + "\n" + json.dumps(round_row(2, 10_000, 9.0)) + "\n"
        )
    (after,) = reader.read([path])
    assert (after.state, after.steps, after.last_tests, after.seconds) == (FINISHED, 10_000, (24, 64), 69.0)
    shutil.rmtree(path)
    assert reader.read([path])[0].state == BROKEN


# --- in a browser ---------------------------------------------------------------------------------------------


def test_a_click_on_a_head_sorts(tmp_path: Path) -> None:
    for name, won, map_ in (("b", 32, "8m"), ("c", 4, "25m"), ("a", 16, "3m")):
        a_run(tmp_path / "runs", name, won, map=map_)
    address = write_index(tmp_path / "runs", 10).as_uri()
    with Page(tmp_path / "browser") as page:
        page.screen(1400, 1000, dark=False)
        page.open(address)

        def order() -> str:
            return str(page.run("[...document.querySelectorAll('.runs tbody th')].map(e => e.innerText).join('')"))

        assert order() == "abc"
        sorted_ = []
        for column in (7, 7, 2, 1):  # the final test, the highest first; again: the lowest first; maps by their numbers
            page.click_on(f".runs thead th:nth-child({column}) button")
            sorted_.append(order())
        assert sorted_ == ["bac", "cab", "abc", "abc"]
        assert page.run("document.querySelectorAll('[aria-sort]').length") == 1
        page.screen(390, 844, dark=True, phone=True)
        assert page.run("document.documentElement.scrollWidth") <= 390
        assert page.troubles == []
