"""Numbers and names of members."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.members import ONE_TEAM, Member, Teams

TWO = Teams(2, 3)


def test_a_members_number_counts_through_the_teams() -> None:
    assert [TWO.number(Member(team, seat)) for team in (0, 1) for seat in (0, 1, 2)] == [0, 1, 2, 3, 4, 5]
    assert list(TWO.numbers) == [0, 1, 2, 3, 4, 5]
    assert list(TWO.of_team(1)) == [3, 4, 5]


@given(st.integers(1, 400), st.integers(1, 30), st.data())
def test_number_and_member_are_each_others_inverse(count: int, n_agents: int, data: st.DataObject) -> None:
    teams = Teams(count, n_agents)
    number = data.draw(st.sampled_from(teams.numbers))
    assert teams.number(teams.member(number)) == number


def test_with_one_team_a_member_is_its_seat() -> None:
    assert ONE_TEAM.member(2) == Member(0, 2)
    assert ONE_TEAM.key(2) == "2"
    assert ONE_TEAM.named([2]) == "seat 2"
    assert ONE_TEAM.named([2, 0, 2]) == "seats 0, 2"
    assert ONE_TEAM.arenas("main") == ["main"]


def test_with_several_teams_the_team_is_named_first() -> None:
    assert TWO.key(4) == "1:1"
    assert TWO.named([4]) == "team 1, seat 1"
    assert TWO.named([5, 4, 0], "agent") == "team 0, agent 0; team 1, agents 1, 2"
    assert TWO.arenas("main") == ["main-0", "main-1"]


def test_a_whole_team_is_named_as_one() -> None:
    assert TWO.named([3, 4, 5, 0]) == "team 1; team 0, seat 0"
    assert TWO.named(TWO.numbers) == "teams 0, 1"


def test_many_numbers_in_a_row_are_named_by_the_first_and_the_last() -> None:
    teams = Teams(334, 3)
    assert teams.named(teams.numbers) == "teams 0 to 333"
    assert teams.named([*teams.of_team(0), *range(9, 24)]) == "teams 0, 3 to 7"
    assert teams.named(range(12)) == "teams 0, 1, 2, 3"
    assert Teams(1, 27).named(range(5, 27)) == "seats 5 to 26"


def test_a_members_text_is_read_back() -> None:
    assert Member.parse(str(Member(12, 3))) == Member(12, 3)


@pytest.mark.parametrize("text", ["", "1", "1:", ":1", "a:1", "1:1:1", "-1:0"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected TEAM:SEAT, as 0:2, found"):
        Member.parse(text)
