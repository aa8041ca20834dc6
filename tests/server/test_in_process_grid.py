"""The in-process Grid keeps the contract of Flower's Grid."""

from __future__ import annotations

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from server.flower_internals import make_run
from server.in_process_grid import InProcessGrid
from tests.server.squad import Device, Squad


@pytest.fixture
def squad() -> Squad:
    return Squad({node: Device(node - 1) for node in (1, 2, 3)})


@pytest.fixture
def grid(squad: Squad) -> InProcessGrid:
    return InProcessGrid(3, squad, make_run(17))


def question(grid: Grid, node: int) -> Message:
    return grid.create_message(RecordDict({"config": ConfigRecord({})}), "query.describe", node, "4", ttl=60.0)


def test_it_is_a_grid_of_a_run(grid: InProcessGrid) -> None:
    assert isinstance(grid, Grid)
    assert grid.run.run_id == 17
    assert list(grid.get_node_ids()) == [1, 2, 3]
    other = make_run(18)
    grid.set_run(other)
    assert grid.run is other


def test_a_message_is_what_it_was_made_of(grid: InProcessGrid) -> None:
    made = question(grid, 2)
    assert made.metadata.dst_node_id == 2
    assert made.metadata.message_type == "query.describe"
    assert made.metadata.group_id == "4"
    assert made.metadata.ttl == 60.0
    assert made.metadata.run_id == 17


def test_replies_come_for_the_ids_that_push_gave(grid: InProcessGrid) -> None:
    ids = list(grid.push_messages([question(grid, node) for node in (3, 1)]))
    assert len(set(ids)) == 2
    replies = {reply.metadata.reply_to_message_id: reply for reply in grid.pull_messages(ids)}
    assert list(replies) == ids
    assert [replies[i].metadata.src_node_id for i in ids] == [3, 1]
    assert [replies[i].content.metric_records["metrics"]["seat"] for i in ids] == [2, 0]
    assert all(reply.metadata.group_id == "4" for reply in replies.values())


def test_a_reply_is_given_once_and_only_on_request(grid: InProcessGrid) -> None:
    first, second = grid.push_messages([question(grid, 1), question(grid, 2)])
    assert [r.metadata.reply_to_message_id for r in grid.pull_messages([second])] == [second]
    assert list(grid.pull_messages([second])) == []
    assert [r.metadata.reply_to_message_id for r in grid.pull_messages([second, first, "none"])] == [first]


def test_a_team_answers_all_that_was_pushed_at_once(grid: InProcessGrid, squad: Squad) -> None:
    calls = []
    squad.after = lambda: calls.append(len(squad.asked))
    ids = [*grid.push_messages([question(grid, 1)]), *grid.push_messages([question(grid, 2), question(grid, 3)])]
    assert calls == []
    assert len(list(grid.pull_messages(ids))) == 3
    assert calls == [3]
    assert list(grid.pull_messages([])) == []
    assert calls == [3]


def test_a_silent_node_has_no_reply(grid: InProcessGrid, squad: Squad) -> None:
    squad.devices[2].mute = True
    replies = list(grid.send_and_receive([question(grid, node) for node in (1, 2, 3)], timeout=1.0))
    assert [reply.metadata.src_node_id for reply in replies] == [1, 3]
