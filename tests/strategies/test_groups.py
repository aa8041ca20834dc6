"""Who averages with whom."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from operations.members import Teams
from strategies.groups import GroupedSharing, UnknownUnitTypesError, groups_of, together
from strategies.registry import create_strategy
from tests.strategies.conftest import CREDULOUS, NETWORK, Team

TWO = Teams(2, 3, ("marine", "marine", "zealot"))


@pytest.mark.parametrize(
    ("among", "expected"),
    [
        ("all", {"all": [0, 1, 2, 3, 4, 5]}),
        ("seat", {"seat 0": [0, 3], "seat 1": [1, 4], "seat 2": [2, 5]}),
        ("type", {"marine": [0, 1, 3, 4], "zealot": [2, 5]}),
    ],
)
def test_groups(among: str, expected: dict[str, list[int]]) -> None:
    assert groups_of(reversed(TWO.numbers), TWO, among) == expected


def test_groups_of_one_team() -> None:
    one = Teams(1, 3, TWO.unit_types)
    assert groups_of(one.numbers, one, "type") == {"marine": [0, 1], "zealot": [2]}
    assert groups_of(one.numbers, one, "seat") == {"seat 0": [0], "seat 1": [1], "seat 2": [2]}


def test_types_that_are_not_known_are_refused() -> None:
    with pytest.raises(UnknownUnitTypesError, match="expected all or seat, found 'type'"):
        groups_of(range(3), Teams(1, 3), "type")


def test_figures_of_groups() -> None:
    each: list[dict[str, Any]] = [
        {"seats-replied": 2, "weights-shifted": 0, "divergence": 0.25, "weight/0": 0.5},
        {"seats-replied": 1, "weights-shifted": 1, "divergence": 0.75, "update-cosine": 0.5},
    ]
    assert dict(together(each)) == {
        "seats-replied": 3,
        "weights-shifted": 1,
        "divergence": 0.5,
        "weight/0": 0.5,
        "update-cosine": 0.5,
    }


def grouped(among: str, **settings: Any) -> Team:
    """Two teams of three: members 0..5."""
    chosen = dataclasses.replace(CREDULOUS, **settings)
    strategy = GroupedSharing(lambda: create_strategy("rs-pps", chosen), among)
    played = Team(strategy, 6, NETWORK)
    strategy.place(strategy.seats, TWO)
    return played


def own(played: Team) -> list[float]:
    return [float(tensors["fc1.weight"][0]) for tensors in played.strategy.agents().values()]


def test_members_average_within_their_group() -> None:
    played = grouped("seat")
    _, metrics = played.play((1, 1), (2, 1), (3, 1), (5, 3), (4, 1), (9, 2))
    # (1 + 3 * 5) / 4, (2 + 4) / 2, (3 + 2 * 9) / 3
    assert own(played) == [4, 3, 7, 4, 3, 7]
    assert metrics["seats-replied"] == 6
    assert [metrics[f"weight/{key}"] for key in ("0:0", "1:0", "0:1", "1:1")] == [0.25, 0.75, 0.5, 0.5]


def test_a_group_goes_on_where_it_was_after_a_restart() -> None:
    played, again = grouped("type", server_optimizer="fedavgm"), grouped("type", server_optimizer="fedavgm")
    answers = [(float(number), 1.0) for number in range(6)]
    played.play(*answers)
    again.strategy.restore(played.strategy.agents(), played.strategy.whole_state())
    again.strategy.place(dict(played.strategy.seats), TWO)
    again.round = played.round
    played.play(*answers)
    again.play(*answers)
    np.testing.assert_array_equal(own(played), own(again))


def test_a_missing_member_is_told() -> None:
    played = grouped("seat")
    messages = {message.content["config"]["seat"]: message for message in played.configure()}
    _, metrics = played.aggregate([played.reply(messages[number], 1.0) for number in (0, 1, 2, 3, 5)])
    assert played.strategy.missing == [4]
    assert metrics["seats-missing"] == 1
