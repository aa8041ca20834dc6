"""Evaluations of several teams become one row, when all have come to it."""

from __future__ import annotations

import json

from server.evaluations import Evaluation, Evaluations

EVERY, TOTAL = 100, 250


def played(steps: int, won: int, return_: float = 4.0) -> Evaluation:
    return Evaluation(steps, 10, won, return_, 20.0)


def test_a_single_team_has_a_row_at_once() -> None:
    evaluations = Evaluations(1, EVERY, TOTAL)
    evaluations.add(0, [played(104, 5)])
    (row,) = evaluations.rows(3, [0])
    assert row == {
        "kind": "evaluation",
        "round": 3,
        "steps": 104,
        "battles": 10,
        "won": 5,
        "win-rate": 0.5,
        "return": 4.0,
        "length": 20.0,
    }


def test_teams_that_come_to_it_in_different_rounds_share_a_row() -> None:
    evaluations = Evaluations(2, EVERY, TOTAL)
    evaluations.add(0, [played(104, 2, 3.0)])
    assert evaluations.rows(3, [0, 1]) == []
    evaluations.add(1, [played(120, 6, 5.0)])
    (row,) = evaluations.rows(4, [0, 1])
    assert (row["round"], row["steps"], row["won"], row["battles"]) == (4, 112, 8, 20)
    assert (row["win-rate"], row["return"]) == (0.4, 4.0)
    assert row["spread"] == {"win-rate": [0.2, 0.6], "return": [3.0, 5.0]}
    assert {team: figures["won"] for team, figures in row["teams"].items()} == {"0": 2, "1": 6}


def test_a_team_that_is_away_is_not_waited_for_and_makes_no_second_row() -> None:
    evaluations = Evaluations(2, EVERY, TOTAL)
    evaluations.add(0, [played(104, 2)])
    assert [list(row["teams"]) for row in evaluations.rows(3, [0])] == [["0"]]
    evaluations.add(1, [played(120, 6)])
    assert evaluations.rows(4, [0, 1]) == []


def test_one_that_a_long_phase_ran_past_is_not_waited_for() -> None:
    evaluations = Evaluations(2, EVERY, TOTAL)
    evaluations.add(0, [played(104, 2), played(201, 3)])
    evaluations.add(1, [played(230, 6)])
    assert [list(row["teams"]) for row in evaluations.rows(4, [0, 1])] == [["0"], ["0", "1"]]


def test_the_last_one_counts_apart_from_the_one_before() -> None:
    evaluations = Evaluations(2, EVERY, TOTAL)
    evaluations.add(0, [played(240, 2), played(252, 4)])
    evaluations.add(1, [played(201, 6)])
    assert [row["won"] for row in evaluations.rows(4, [0, 1])] == [8]
    evaluations.add(1, [played(256, 1)])
    assert [row["won"] for row in evaluations.rows(5, [1])] == [5]


def test_what_waits_is_kept_over_a_restart() -> None:
    evaluations = Evaluations(2, EVERY, TOTAL)
    evaluations.add(0, [played(104, 2)])
    evaluations.rows(3, [0, 1])
    again = Evaluations(2, EVERY, TOTAL).restored(json.loads(json.dumps(evaluations.state())))
    for each in (evaluations, again):
        each.add(1, [played(120, 6)])
    assert evaluations.rows(4, [0, 1]) == again.rows(4, [0, 1]) != []
