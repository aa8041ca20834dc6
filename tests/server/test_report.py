"""The page of a run: what it tells, of which rows, and that nothing in it is taken for markup."""

from __future__ import annotations

import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.main import build_parser
from operations.defaults import default_config
from server.report.charts import Axis, nice_axis, thinned
from server.report.page import write_report
from server.report.summary import Rate, last_whole_round, mean_seconds, played_seconds, points, result_of, whole_rounds
from server.report.words import AGENT_FIGURES, FIGURES, duration, heading
from tests.metrics_rows import evaluation_row

METRICS = Path(__file__).parents[2] / "docs/metrics.md"
NASTY = "x</title><script>alert(1)</script>"


def round_(number: int, steps: int, trained: float = 100.0) -> dict[str, Any]:
    return {
        "kind": "round",
        "round": number,
        "steps": steps,
        "battles": 100,
        "training-steps": trained,
        "win-rate": None,
        "epsilon": 0.05,
        "loss": 0.25 * number,
        "seconds": {"round": 2.0 * number, "waiting": 0.5, "learning": 1.5},
        "shared": {"divergence": 0.125 * number, "divergence/fc1.weight": 0.5, "weight/0": 0.75, "weight/1": 0.25},
        "seats": {"0": {"seat": 0, "battles": 100, "loss": 0.5, "texts": "no number"}, "1": {"battles": 100}},
        "missing": [2],
        "rejected": {},
    }


ROWS = [
    *(evaluation_row(5000, 8), round_(1, 5100), evaluation_row(10000, 24), evaluation_row(15000, 16), round_(2, 15500)),
    round_(3, 16000, 14),
]
RUN: dict[str, Any] = {
    "settings": {"run": "first", "runs": "/tmp/my runs", "map": "3m", "gamma": 0.9, "strategy": "a-pps"},
    "versions": {"python": "3.11"},
    "commit": "",
    "runtime": "flower",
}


class Page(HTMLParser):
    """Collects what a browser would see of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data.replace("\xa0", " ")


def page_of(folder: Path, run: dict[str, Any] | None = None, rows: list[dict[str, Any]] | None = None) -> Page:
    write_report(folder / "report.html", run or RUN, ROWS if rows is None else rows)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_tells_the_figures_of_the_end_first(tmp_path: Path) -> None:
    text = page_of(tmp_path).text
    for words in (
        "3m, A-PPS on VDN, 3 agents, seed 0",
        "Mean of the last 3 tests50 %48 of 96 battles",
        "Final test win rate50 %16 of 32 battles; 95 % interval 34 to 66 %",
        "Single best test75 %at step 10,000; the luckiest of 3",
        "Final test return8.0 of 20",
        "Environment steps16,000of 1,000,000, in 3 rounds",
        "Time12 sover Flower, on cpu",
    ):
        assert words in text, words


@pytest.mark.parametrize("setting", [{"rules": "reward-scale-rate=10"}, {"map": "zerg_20_vs_23"}, {"backend": "grid"}])
def test_other_rewards_have_another_highest_return(tmp_path: Path, setting: dict[str, str]) -> None:
    run = {**RUN, "settings": {**RUN["settings"], **setting}}
    assert "Final test return8.0mean reward" in page_of(tmp_path, run).text


def test_every_evaluation_can_be_read_on_the_curve(tmp_path: Path) -> None:
    text = page_of(tmp_path).text
    assert "step 10,000: 75 % (24 of 32); average 50 %, 95 % interval 38 to 62 %" in text.replace("38 % to", "38 to")
    assert "5,0008 of 324.0021.5" in text  # and in the table


def test_agents_are_those_of_the_last_whole_round(tmp_path: Path) -> None:
    text = page_of(tmp_path).text
    assert "Agents in round 2" in text
    assert "The same for all agents: battles 100" in text
    assert "Loss0.5-" in text
    assert "Aggregation weight0.750.25" in text
    assert "Without agent 2." in text


def test_figures_that_stay_the_same_have_no_chart(tmp_path: Path) -> None:
    text = page_of(tmp_path).text
    assert "The same in all rounds: exploration 5 %." in text
    assert "Disagreement of agents" in text
    assert "Win rate while exploring" not in text  # no round has it


def test_every_figure_is_explained_and_leads_to_its_documentation(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    titles = re.findall(r"^#+ (.+)$", METRICS.read_text(encoding="utf-8"), re.MULTILINE)
    sections = {title.lower().replace(" ", "-") for title in titles}
    linked = [link.partition("#")[2] for link in page.links if "/docs/metrics.md#" in link]
    assert {"learning", "divergence", "aggregation-weights"} <= set(linked) <= sections
    assert {figure.section for figure in (*FIGURES, *AGENT_FIGURES)} <= sections
    meaning = "Mean squared difference between predicted values and their targets."
    assert f'title="{meaning}">Loss</a>' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_small_charts_tell_their_values_on_hover(tmp_path: Path) -> None:
    text = page_of(tmp_path).text
    assert "step 15,500: 0.5" in text  # of the loss
    assert "step 5,100\nagent 0: 0.75\nagent 1: 0.25" in text


def test_a_first_round_has_values_and_no_curves(tmp_path: Path) -> None:
    page = page_of(tmp_path, rows=[round_(1, 5100)])
    assert "Loss0.25Mean squared difference" in page.text
    assert "Exploration5 %Share of random actions" in page.text
    assert "Aggregation weightsagent 00.75agent 10.25How much each agent counts" in page.text


def test_more_agents_than_colours_are_told_by_their_extremes(tmp_path: Path) -> None:
    weights = {f"weight/{seat}": (seat + 1) / 128 for seat in range(15)}
    rows = [{**round_(n, 5000 * n), "shared": weights} for n in (1, 2)]
    text = page_of(tmp_path, rows=rows).text
    assert "step 10,000\nhighest of 15: 0.117\nmedian of 15: 0.0625\nlowest of 15: 0.00781" in text


def test_a_single_point_has_the_colour_of_its_key(tmp_path: Path) -> None:
    late = {**round_(2, 15500), "shared": {"weight/0": 0.5, "weight/1": 0.25, "weight/2": 0.25}}
    page_of(tmp_path, rows=[round_(1, 5100), late])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    (point,) = re.findall(r'class="points only" style="([^"]+)"', text)
    assert f'<li style="{point}">agent 2</li>' in text


def test_settings_that_differ_come_first(tmp_path: Path) -> None:
    text = page_of(tmp_path).text
    differing = text[text.index("SettingValueDefault") : text.index("All common settings")]
    assert "gamma0.90.99" in differing
    assert "strategya-ppsrs-pps" in differing
    assert "learning-rate" not in differing
    assert "learning-rate0.0005step size of Adam" in text


def test_the_commands_of_the_page_are_valid(tmp_path: Path) -> None:
    text = page_of(tmp_path).text
    commands = [shlex.split(line) for line in _commands(text)]
    assert [words[1] for words in commands] == ["train", "train", "evaluate", "watch"]
    for _, *words in commands:
        build_parser(words).parse_args(words)
    assert commands[0][2:4] == ["--runtime", "flower"]
    assert {"--map=3m", "--gamma=0.9", "--strategy=a-pps"} <= set(commands[0])
    assert commands[1][2:4] == ["--resume", "/tmp/my runs/first"]


def _commands(text: str) -> list[str]:
    part = text[text.index("Reproduce it") : text.index("SettingValueDefault")]
    for name in ("Reproduce it", "Resume it", "Evaluate it", "Watch it", "Settings"):
        part = part.replace(name, "\n")
    return [line for line in part.splitlines() if line.strip()]


@pytest.mark.parametrize("rows", [[], [round_(1, 5100)], [evaluation_row(5000, 0)]])
def test_a_run_that_has_just_begun_has_a_page(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    assert "All common settings" in page_of(tmp_path, rows=rows).text


def test_nothing_in_the_page_is_taken_for_markup(tmp_path: Path) -> None:
    settings = {**RUN["settings"], "run": NASTY, "runs": '"/tmp/<b>&"', "map": NASTY, "strategy": NASTY}
    run = {"settings": settings, "versions": {"python": "<q>0</q>"}, "commit": "<script>", "provenance": {"<u>": "<u>"}}
    rows = [{**round_(1, 5100), "rejected": {"1": "a <b>reason</b>"}}]
    page = page_of(tmp_path, run, rows)
    assert not {"script", "q", "u"} & set(page.tags)
    assert page.tags.count("b") == 1  # the run's name
    assert NASTY in page.text


def test_the_page_loads_nothing_and_names_its_language(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    outside = [link for link in page.links if not link.startswith("https://github.com/pps-qmix/")]
    assert outside == ["data:,"]  # the icon: a browser asks a server for one otherwise
    assert not {"img", "script", "iframe"} & set(page.tags)


def test_the_page_of_a_long_run_is_small(tmp_path: Path) -> None:
    rows = [row for n in range(1, 3001) for row in (evaluation_row(1000 * n, n % 33), round_(n, 1000 * n))]
    page_of(tmp_path, rows=rows)
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


# --- arithmetic -----------------------------------------------------------------------------------------------


def test_the_interval_of_wilson() -> None:
    low, high = Rate(8, 10).interval  # by hand: (0.8 + 0.19208 -+ 1.96 sqrt(0.016 + 0.009604)) / 1.38416
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert Rate(0, 32).interval[0] == 0.0
    assert Rate(32, 32).interval[1] == 1.0


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share(rate: tuple[int, int]) -> None:
    found = Rate(*rate)
    low, high = found.interval
    assert 0.0 <= low <= found.share + 1e-12
    assert found.share - 1e-12 <= high <= 1.0


def test_the_moving_average_takes_five_tests_together() -> None:
    found = points([evaluation_row(1000 * n, 4 * n) for n in range(1, 8)])
    assert [point.smooth.won for point in found] == [4, 12, 24, 40, 60, 80, 100]
    assert [point.smooth.battles for point in found] == [32, 64, 96, 128, 160, 160, 160]


def test_the_last_whole_round_is_none_that_was_cut() -> None:
    rounds = [{**round_(1, 150), "battles": 150}, round_(2, 250, 95.0), round_(3, 260, 10.0)]
    assert last_whole_round(rounds) is rounds[1]  # the first has more battles: it also filled the buffers
    assert last_whole_round([{**round_(1, 10), "training-steps": None}]) is not None
    assert last_whole_round([]) is None
    assert [row["round"] for row in whole_rounds(rounds)] == [1, 2]
    assert whole_rounds([]) == []


def test_result_and_times_in_figures() -> None:
    assert result_of(ROWS) == {
        "mean of the last 3 tests": "50 % (48 of 96 battles)",
        "last test win rate": "50 % (16 of 32, 95 % interval 34 to 66 %) at step 15,000",
        "single best test": "75 % at step 10,000, the luckiest of 3",
        "rounds": "3",
        "environment steps": "16,000",
    }
    assert result_of([]) == {}
    assert mean_seconds(ROWS) == {"round": 4.0, "waiting": 0.5, "learning": 1.5}
    assert mean_seconds([]) == {}
    assert played_seconds([{"seconds": {"round": 2.0, "aggregation": 0.5}}, {"seconds": {"round": 1.0}}]) == 3.5


@pytest.mark.parametrize(("seconds", "words"), [(42.4, "42 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "3m, RS-PPS on VDN, 3 agents, seed 0"),
        ({"strategy": "none", "mixing": "joint", "base": "qmix"}, "3m, no sharing on joint QMIX, 3 agents, seed 0"),
        ({"centralised": True, "map": "8m"}, "8m, centralised VDN, 3 agents, seed 0"),
        ({"strategy": "krum", "seed": 7}, "3m, krum on VDN, 3 agents, seed 7"),
    ],
)
def test_what_a_run_was_in_words(changed: dict[str, Any], words: str) -> None:
    assert heading({**default_config(), **changed}, 3) == words


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_an_axis_holds_its_values(values: list[float]) -> None:
    axis = nice_axis(values)
    assert axis.low < axis.high
    assert all(-1e-6 <= axis.at(value) <= 100 + 1e-6 for value in values)


@given(st.integers(1, 5000))
def test_thinning_keeps_the_newest_point(n: int) -> None:
    curve = thinned([(float(x), 0.0) for x in range(n)])
    assert curve[-1][0] == n - 1
    assert len(curve) <= 401
    assert Axis(0.0, 2.0).at(0.5) == 25.0
