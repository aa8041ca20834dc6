"""Which devices get members that no device holds."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from server.assignment import assigned


def test_new_members_fill_one_device_after_the_other() -> None:
    assert assigned(range(5), (), {7: 3, 2: 0, 9: 4}) == {0: 7, 1: 7, 2: 7, 3: 9, 4: 9}


def test_lost_members_go_where_there_is_most_room() -> None:
    assert assigned([3, 4, 5], [3, 4, 5], {7: 1, 9: 3}) == {3: 9, 4: 9, 5: 7}


def test_there_may_be_too_little_room() -> None:
    assert assigned([3, 4, 5], [], {7: 1}) == {3: 7}
    assert assigned([3], [], {}) == {}


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.dictionaries(st.integers(1, 9), st.integers(0, 9)))
def test_no_device_gets_more_than_it_has_room_for_and_no_room_is_left_unused(
    empty: set[int], lost: set[int], room: dict[int, int]
) -> None:
    found = assigned(sorted(empty), lost, room)
    assert all(count <= room[node] for node, count in Counter(found.values()).items())
    assert len(found) == min(len(empty), sum(room.values()))
