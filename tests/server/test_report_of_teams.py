"""What the page, the result and TensorBoard tell of a run of several teams: the mean, the spread, each team."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from server.report.charts import told_apart
from server.report.page import write_report
from server.report.summary import points, result_of, spread_of
from server.report.teams import team_weights, weights_of_teams
from server.tensorboard_writer import TensorBoardWriter, scalars
from tests.server.test_report import RUN, Page

TWO: dict[str, Any] = {**RUN, "settings": {**RUN["settings"], "teams": 2}}


def evaluation(steps: int, *won: int) -> dict[str, Any]:
    each = {
        str(team): {"steps": steps, "won": w, "battles": 20, "win-rate": w / 20, "return": w / 2, "length": 9.0}
        for team, w in enumerate(won)
    }
    rates, returns = ([figures[name] for figures in each.values()] for name in ("win-rate", "return"))
    return {
        "kind": "evaluation", "round": 1, "steps": steps, "battles": 40, "won": sum(won), "win-rate": sum(won) / 40,
        "return": sum(won) / 4, "length": 9.0, "teams": each,
        "spread": {"win-rate": [min(rates), max(rates)], "return": [min(returns), max(returns)]},
    }  # fmt: skip


def round_(number: int, steps: int) -> dict[str, Any]:
    each = {
        str(team): {"steps": steps + team, "played": 9, "battles": 8, "win-rate": 0.25 * team, "return": 3.0}
        for team in (0, 1)
    }
    return {
        "kind": "round", "round": number, "steps": steps, "battles": 8, "win-rate": 0.125, "return": 3.0,
        "seconds": {"round": 2.0, "waiting": 0.5}, "teams": each,
        "shared": {"weight/0:0": 0.1, "weight/0:1": 0.2, "weight/1:0": 0.3, "weight/1:1": 0.4},
        "spread": {"win-rate": [0.0, 0.25], "return": [3.0, 3.0]},
        "seats": {"0:0": {"seat": 0}, "1:1": {"seat": 3}}, "missing": ["0:1"], "rejected": {},
    }  # fmt: skip


ROWS = [evaluation(5000, 4, 8), round_(1, 5100), evaluation(10000, 6, 16), round_(2, 10100)]


def test_the_page_tells_of_each_team(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", TWO, ROWS)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "3m, A-PPS on VDN, 2 teams of 2 agents, seed 0" in text
    assert "lowest to highest team" in text
    assert "Teams in round 2" in text
    assert "Agents in round" not in text
    assert "30 to 80 %" in text  # the win rates of the last test
    assert "team 110,101825 %3.00080 %0.700" in text
    assert text.count("team 1") >= 2  # of the table, and the key of the weights


def test_the_weight_of_a_team_is_that_of_its_members() -> None:
    found = weights_of_teams(ROWS[1])
    assert {team: round(weight, 9) for team, weight in found.items()} == {"0": 0.3, "1": 0.7}
    assert list(team_weights([ROWS[1], ROWS[3]])) == ["team 0", "team 1"]


def test_more_teams_than_colours_are_told_by_their_extremes() -> None:
    many = {**ROWS[1], "shared": {f"weight/{team}:0": 0.05 for team in range(20)}}
    assert list(told_apart(team_weights([many]))) == ["highest of 20", "median of 20", "lowest of 20"]


def test_the_band_of_several_teams_is_their_spread_over_the_tests_of_the_mean() -> None:
    found = points([ROWS[0], ROWS[2]])
    assert [tuple(round(edge, 9) for edge in point.band) for point in found] == [(0.2, 0.4), (0.25, 0.6)]
    assert all(point.band[0] <= point.smooth.share <= point.band[1] for point in found)


def test_the_result_tells_the_spread() -> None:
    assert spread_of(ROWS[2], "win-rate") == " (teams 30 to 80 %)"
    assert spread_of(ROWS[2], "return") == " (teams 3.00 to 8.00)"
    last = result_of(ROWS)["last test win rate"]
    assert last.startswith("55 % (22 of 40, ")
    assert last.endswith(" (teams 30 to 80 %) at step 10,000")


def test_tensorboard_has_lowest_and_highest() -> None:
    tags = dict(scalars(ROWS[2]))
    assert (tags["evaluation/win-rate/lowest"], tags["evaluation/win-rate/highest"]) == (0.3, 0.8)
    assert dict(scalars(ROWS[1]))["exploring/win-rate/highest"] == 0.25


def test_the_events_of_several_teams_can_be_written(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path, 0)
    for row in ROWS:
        writer.add(row)
    writer.close()
    assert list(tmp_path.glob("events.out.tfevents.*"))
