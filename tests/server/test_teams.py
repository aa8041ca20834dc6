"""Rounds of several teams: each has its steps, a quorum of them is enough, and those that are late count less."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import server.exchange
from server.exchange import teams_needed
from server.member_grid import node_of
from server.rounds import RoundResult
from server.seats import Seats
from strategies.groups import UnknownUnitTypesError
from tests.server.squad import Device, Field, Squad, config_of, rounds, settings

RUN = settings(
    strategy="a-pps", teams=2, total_steps=300, aggregation_every=10, batch_size=4, round_timeout=30.0,
    evaluate_every=1000,
)  # fmt: skip
N = 2


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.exchange, "_PAUSE", 0.0)


def federation() -> tuple[Field, Squad]:
    """Two teams of two: node i + 1 holds member i."""
    squad = Squad({number + 1: Device(number) for number in range(4)}, N)
    return Field(squad), squad


def play(grid: Field, run: Any = RUN, start: Any = None) -> list[RoundResult]:
    return list(rounds(grid, run).play(start))


def row(result: RoundResult) -> dict[str, Any]:
    return result.rows[-1]


def value(result: RoundResult, number: int) -> float:
    return float(result.checkpoint.agents[number]["fc1.weight"][0])


@pytest.mark.parametrize(
    ("teams", "quorum", "needed"),
    [(4, 1.0, 4), (4, 0.5, 2), (4, 0.51, 3), (4, 0.01, 1), (1, 0.5, 1), (25, 0.28, 7), (0, 0.5, 0), (334, 0.9, 301)],
)
def test_how_many_teams_are_enough(teams: int, quorum: float, needed: int) -> None:
    assert teams_needed(teams, quorum) == needed


def test_all_members_of_all_teams_share() -> None:
    grid, squad = federation()
    for number, gain in enumerate((1.0, 2.0, 3.0, 6.0)):
        squad.devices[number + 1].gain = gain
    results = play(grid)
    assert [value(results[0], number) for number in range(4)] == [3.0] * 4
    assert [sorted(row(result)["seats"]) for result in results] == [["0:0", "0:1", "1:0", "1:1"]] * 3
    assert row(results[0])["shared"]["weight/1:0"] == 0.25


def test_each_team_has_its_own_steps_and_one_that_has_done_all_is_not_asked() -> None:
    grid, squad = federation()
    for node in (3, 4):
        squad.devices[node].report = {"steps": 150}
    results = play(grid)
    assert [result.checkpoint.teams.steps for result in results if result.checkpoint.teams] == [
        [100, 150],
        [200, 300],
        [300, 300],
    ]
    assert [result.checkpoint.steps for result in results] == [125, 250, 300]
    assert [order["steps-before"] for order in squad.devices[1].orders] == [0, 100, 200]
    assert [order["steps-before"] for order in squad.devices[3].orders] == [0, 150]
    assert [order["seats"] for order in squad.devices[3].orders] == [[0, 1], [0, 1]]


def test_rows_tell_the_mean_and_the_spread() -> None:
    grid, squad = federation()
    for node in (3, 4):
        squad.devices[node].report = {"won": 6, "return-sum": 150.0}
    first = row(play(grid)[0])
    assert (first["win-rate"], first["return"]) == (0.5, 10.0)
    assert first["spread"] == {"win-rate": [0.4, 0.6], "return": [5.0, 15.0]}
    assert first["teams"]["1"]["win-rate"] == 0.6


def test_a_run_is_resumed_where_each_team_was() -> None:
    grid, squad = federation()
    for node in (3, 4):
        squad.devices[node].report = {"steps": 150}
    first = play(grid)[0].checkpoint
    again, squad = federation()
    play(again, start=first)
    assert squad.devices[1].orders[0]["steps-before"] == 100
    assert squad.devices[3].orders[0]["steps-before"] == 150


def test_a_quorum_goes_on_and_the_late_team_counts_from_where_the_others_are() -> None:
    grid, squad = federation()

    def team_1_waits_for_the_second_order_of_team_0() -> None:
        begun = "query.weights" in {kind for _, kind in squad.asked}
        for node in (3, 4):
            squad.devices[node].busy = begun and len(squad.devices[1].orders) < 2

    squad.after = team_1_waits_for_the_second_order_of_team_0
    for node in (3, 4):
        squad.devices[node].gain = 8.0
    results = play(grid, RUN.model_copy(update={"quorum": 0.5}))
    first, second = row(results[0]), row(results[1])
    assert (list(first["teams"]), first["missing"]) == (["0"], [])
    assert (second["shared"]["seats-late"], second["shared"]["staleness"]) == (2, 1)
    assert value(results[0], 0) == 1.0
    # Team 0 is at 2. Team 1 has moved by 8 from 0, which counts from 1: (2 + 1 + 8 / sqrt 2) / 2.
    assert value(results[1], 0) == pytest.approx((2 + 1 + 8 / 2**0.5) / 2, rel=1e-6)
    last = results[-1].checkpoint.teams
    assert last is not None
    assert last.steps == [300, 300]


def test_sharing_among_types_that_nobody_knows_is_refused() -> None:
    grid, _ = federation()
    with pytest.raises(UnknownUnitTypesError, match="expected all or seat"):
        play(grid, RUN.model_copy(update={"share_among": "type"}))


# --- devices of several members -------------------------------------------------------------------------------


class Hosts(Squad):
    """Devices with room for some members: node -> capacity and the members that it says it holds."""

    def __init__(self, hosts: dict[int, tuple[int, list[int]]]) -> None:
        super().__init__({node: Device(0) for node in hosts}, N)
        for node, (capacity, seats) in hosts.items():
            self.devices[node].claims = {
                "seat": None, "round": None, "capacity": capacity, "seats": seats, "rounds": [3] * len(seats)
            }  # fmt: skip


def hosted(hosts: dict[int, tuple[int, list[int]]], device_grace: float = 120.0) -> tuple[Field, Seats]:
    grid = Field(Hosts(hosts))
    return grid, Seats(grid, config_of(RUN.model_copy(update={"device_grace": device_grace})))


def held(seats: Seats) -> dict[int, int]:
    return {number: node_of(place) for number, place in seats.nodes.items()}


def test_a_device_holds_the_members_that_it_names() -> None:
    _, seats = hosted({1: (2, [0, 1]), 2: (2, [2, 3])})
    seats.poll()
    assert held(seats) == {0: 1, 1: 1, 2: 2, 3: 2}
    assert len(set(seats.nodes.values())) == 4


def test_a_device_with_room_is_given_members() -> None:
    _, seats = hosted({1: (3, [1]), 2: (12, [])})
    seats.poll()
    assert seats.empty() == []
    assert held(seats)[1] == 1
    assert sorted(held(seats).values()).count(1) <= 3


def test_a_member_waits_for_its_lost_device() -> None:
    grid, seats = hosted({1: (2, [0, 1]), 2: (4, [2, 3])})
    seats.poll()
    grid.present.remove(1)
    seats.poll()
    assert seats.empty() == [0, 1]


def test_a_member_whose_device_has_not_come_back_in_its_grace_is_given_to_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    grid, seats = hosted({1: (2, [0, 1]), 2: (4, [2, 3])}, device_grace=0.0)
    seats.poll()
    grid.present.remove(1)
    with caplog.at_level(logging.WARNING, "server"):
        seats.poll()
    assert held(seats) == {0: 2, 1: 2, 2: 2, 3: 2}
    assert "team 0, seat 0 is given to node 2, and begins there with an empty buffer" in caplog.text


def test_a_device_whose_user_has_named_its_members_takes_them_from_one_that_was_given_them() -> None:
    grid, seats = hosted({1: (2, [0, 1]), 2: (4, [])})
    squad: Any = grid
    squad._team.devices[1].claims["named"] = 1
    grid.present.remove(1)
    seats.poll()
    assert held(seats) == {0: 2, 1: 2, 2: 2, 3: 2}
    grid.present.add(1)
    seats.poll()
    assert held(seats) == {0: 1, 1: 1, 2: 2, 3: 2}


def test_a_device_that_comes_back_does_not_take_away_what_another_has_been_given() -> None:
    grid, seats = hosted({1: (2, [0, 1]), 2: (4, [2, 3])}, device_grace=0.0)
    seats.poll()
    grid.present.remove(1)
    seats.poll()
    grid.present.add(1)
    seats.poll()
    assert held(seats) == {0: 2, 1: 2, 2: 2, 3: 2}


@pytest.mark.parametrize(
    "claims", [{"capacity": 1}, {"seats": [0, 0]}, {"rounds": []}, {"seats": [0, 9]}, {"capacity": 10**6}]
)
def test_a_device_that_cannot_be_is_refused(claims: dict[str, Any]) -> None:
    grid, seats = hosted({1: (2, [0, 1])})
    squad: Any = grid
    squad._team.devices[1].claims |= claims
    seats.poll()
    assert seats.nodes == {}
