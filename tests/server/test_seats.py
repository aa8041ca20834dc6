"""Who holds which seat: asked by a query, whatever node ids Flower gives, and however nodes come and go."""

from __future__ import annotations

import itertools
import json
import logging
from typing import Any

import pytest
from flwr.app import Error, Message

import server.seats
from server.described import error_text
from server.seats import Seats, SeatsError
from tests.server.squad import Device, Field, Squad, config_of, settings

CONFIG = config_of(settings(round_timeout=60.0))


def team(*seats: int, n_agents: int = 3) -> tuple[Field, Squad, Seats]:
    """Nodes 1, 2, ... that hold these seats."""
    squad = Squad({node: Device(seat) for node, seat in enumerate(seats, 1)}, n_agents)
    grid = Field(squad)
    return grid, squad, Seats(grid, CONFIG)


def asked(squad: Squad) -> list[int]:
    nodes = [node for node, kind in squad.asked if kind == "query.describe"]
    squad.asked.clear()
    return nodes


def test_seats_are_what_the_devices_say_whatever_their_nodes() -> None:
    _, squad, seats = team(2, 0, 1)
    squad.devices[1].round = 7
    seats.wait_for_all(10.0)
    assert list(seats.nodes.items()) == [(0, 2), (1, 3), (2, 1)]
    assert seats.n_agents == 3
    assert [seats.holders[seat].round for seat in range(3)] == [0, 0, 7]
    assert seats.empty() == []
    assert asked(squad) == [1, 2, 3]


def test_a_node_is_asked_once() -> None:
    _, squad, seats = team(0, 1, 2)
    assert sorted(seats.poll()) == [0, 1, 2]
    assert seats.poll() == []
    assert asked(squad) == [1, 2, 3]


def test_a_missing_seat_is_named_when_time_is_up(caplog: pytest.LogCaptureFixture) -> None:
    _, _, seats = team(0, 2)
    with caplog.at_level(logging.INFO, "server"), pytest.raises(SeatsError) as over:
        seats.wait_for_all(0.02)
    assert str(over.value) == "after 0 s no device holds seat 1; start a SuperNode for each"
    assert "waiting: no device holds seat 1" in caplog.text


def test_who_is_waited_for_is_told_once() -> None:
    grid, _, _ = team(0, 2)
    told: list[list[int] | None] = []
    with pytest.raises(SeatsError):
        Seats(grid, CONFIG, told.append).wait_for_all(0.3)
    assert told == [[1]]


def test_no_device_at_all() -> None:
    grid, _, seats = team(0, 1, 2)
    grid.present = set()
    assert seats.empty() is None
    with pytest.raises(SeatsError, match="no device has answered yet"):
        seats.wait_for_all(0.02)


def test_waiting_ends_when_the_last_device_comes() -> None:
    grid, squad, seats = team(0, 1, 2)
    grid.present = {1, 2}
    squad.after = lambda: grid.present.add(3)
    seats.wait_for_all(10.0)
    assert seats.nodes == {0: 1, 1: 2, 2: 3}


def test_a_device_that_refuses_is_heard_at_once() -> None:
    _, squad, seats = team(0, 1, 2)
    squad.devices[2].refusal = "cannot read the token of seat 1"
    with pytest.raises(SeatsError, match=r"^cannot read the token of seat 1$"):
        seats.wait_for_all(60.0)


@pytest.mark.parametrize(
    ("refusals", "said"),
    [
        (["no env proxy answers"] * 3, "3 devices: no env proxy answers"),
        (
            [f"cannot read the token of seat {seat}" for seat in range(3)],
            "seats 0, 1, 2: cannot read the token of the seat",
        ),
        (["seat 0: there is no CUDA", "no", "seat 2: there is no CUDA"], "seats 0, 2: there is no CUDA; no"),
        (["seat 0 has 3 of 5", "seat 1 has 4 of 5", "no"], "seat 0 has 3 of 5; seat 1 has 4 of 5; no"),
        (["a", "b", "a"], "2 devices: a; b"),
    ],
)
def test_what_devices_refuse_for_the_same_reason_is_told_once(refusals: list[str], said: str) -> None:
    _, squad, seats = team(0, 1, 2)
    for device, refusal in zip(squad.devices.values(), refusals, strict=True):
        device.refusal = refusal
    with pytest.raises(SeatsError) as over:
        seats.wait_for_all(60.0)
    assert str(over.value) == said


def test_the_others_answers_are_waited_for_before_a_refusal_counts() -> None:
    _, squad, seats = team(0, 1, 2)
    squad.devices[2].refusal = "no"
    squad.devices[3].mute = True
    with pytest.raises(SeatsError) as over:
        seats.wait_for_all(0.02)
    assert str(over.value) == "after 0 s no device holds seats 1, 2; start a SuperNode for each; no"


def test_what_a_node_said_that_is_gone_does_not_count() -> None:
    grid, squad, seats = team(0, 1, 2)
    squad.devices[4] = Device(2, refusal="node is unavailable")
    grid.present = {1, 2, 4}
    seats.poll()
    grid.present = {1, 2, 3}
    seats.wait_for_all(10.0)
    assert seats.nodes == {0: 1, 1: 2, 2: 3}


def test_a_message_that_the_superlink_could_not_deliver_is_not_a_refusal() -> None:
    _, squad, seats = team(0, 1, 2)
    squad.devices[2].unavailable = 2
    seats.wait_for_all(60.0)
    assert seats.nodes == {0: 1, 1: 2, 2: 3}
    assert asked(squad) == [1, 2, 3, 2, 2]


def test_a_device_that_refused_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    _, squad, seats = team(0, 1, 2)
    squad.devices[2].refusal = "no env proxy answers"
    seats.poll()
    seats.poll()
    assert asked(squad) == [1, 2, 3]
    squad.devices[2].refusal = ""
    monkeypatch.setattr(server.seats, "_ASK_AGAIN", 0.0)
    assert seats.poll() == [1]
    assert asked(squad) == [2]
    assert seats.empty() == []


def test_a_seat_goes_to_the_newest_node_that_claims_it(caplog: pytest.LogCaptureFixture) -> None:
    grid, squad, seats = team(0, 1, 2)
    seats.poll()
    squad.devices[9] = Device(1)
    grid.present.add(9)
    assert seats.poll() == [1]
    assert seats.nodes == {0: 1, 1: 9, 2: 3}
    assert "seat 1: node 9 takes the place of node 2" in caplog.text
    asked(squad)

    grid.present.remove(9)  # the node that was there before still is
    assert seats.poll() == [1]
    assert seats.nodes == {0: 1, 1: 2, 2: 3}
    assert asked(squad) == [2]
    assert "seat 1: its node is gone" in caplog.text


def test_a_seat_whose_node_is_gone_is_empty_until_it_comes_back() -> None:
    grid, squad, seats = team(0, 1, 2)
    seats.poll()
    grid.present.remove(2)
    assert seats.poll() == []
    assert seats.empty() == [1]
    squad.devices[8] = squad.devices.pop(2)
    grid.present.add(8)
    assert seats.poll() == [1]
    assert seats.nodes == {0: 1, 1: 8, 2: 3}


def test_a_node_may_come_back_under_the_id_it_had() -> None:
    """With SuperNode authentication, and after a network outage, the id is the same."""
    grid, squad, seats = team(0, 1, 2)
    seats.poll()
    asked(squad)
    grid.present.remove(2)
    seats.poll()
    grid.present.add(2)
    assert seats.poll() == [1]
    assert asked(squad) == [2]


def test_a_team_that_does_not_agree_on_its_size_does_not_begin() -> None:
    _, squad, seats = team(0, 1, 2)
    squad.devices[3].claims = {"n-agents": 5}
    with pytest.raises(SeatsError, match=r"^seat 2 plays with 5 agents, the others with 3$"):
        seats.wait_for_all(10.0)


def test_the_first_to_answer_does_not_say_how_large_the_team_is() -> None:
    _, squad, seats = team(0, 1, 2)
    squad.devices[1].claims = {"n-agents": 1000}
    with pytest.raises(SeatsError, match=r"^seat 0 plays with 1000 agents, the others with 3$"):
        seats.wait_for_all(10.0)

    grid, squad, seats = team(0, 1, 2, 0)  # and another device claims its seat
    squad.devices[1].claims = {"n-agents": 1000}
    seats.wait_for_all(10.0)
    assert seats.nodes == {0: 4, 1: 2, 2: 3}
    grid.present.remove(3)
    seats.poll()
    assert (seats.n_agents, seats.empty()) == (3, [2])


def test_those_that_are_there_are_heard_before_two_of_them_are_the_whole_team(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, squad, seats = team(0, 1, 0, 1, 2)
    for node in (1, 2):
        squad.devices[node].claims = {"n-agents": 2}
    for node in (3, 4, 5):
        squad.devices[node].busy = True  # an agent process takes seconds to start
    looks = itertools.count()

    def present() -> list[int]:
        if next(looks) == 3:
            for node in (3, 4, 5):
                squad.devices[node].busy = False
            grid._replies |= {reply.metadata.reply_to_message_id: reply for reply in squad([])}
        return [1, 2, 3, 4, 5]

    monkeypatch.setattr(grid, "get_node_ids", present)
    seats.wait_for_all(10.0)
    assert (seats.n_agents, seats.nodes) == (3, {0: 3, 1: 4, 2: 5})


def test_a_device_that_does_not_answer_does_not_delay_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.seats, "_FAIR", 0.05)
    _, squad, seats = team(0, 1, 2, 1)
    squad.devices[4].mute = True
    seats.wait_for_all(10.0)
    assert seats.nodes == {0: 1, 1: 2, 2: 3}


def test_a_resumed_run_waits_for_all_devices_then_continues_with_those_present(
    caplog: pytest.LogCaptureFixture,
) -> None:
    grid, _, seats = team(0, 1, 2)
    grid.present = {1, 2}
    seats.wait_for_all(10.0, grace=0.02)
    assert seats.nodes == {0: 1, 1: 2}
    assert "no device holds seat 2; the run continues without it until it is back" in caplog.text
    seats.wait_for_all(0.02, grace=60.0)
    assert seats.nodes == {0: 1, 1: 2}
    grid.present = set()
    seats.poll()
    with pytest.raises(SeatsError, match="no device holds seats 0, 1, 2"):
        seats.wait_for_all(0.05, grace=0.02)


def test_a_run_continues_without_a_device_that_refuses() -> None:
    grid, squad, seats = team(0, 1, 2)
    squad.devices[2].refusal = "the device of seat 1 runs 9.9.9"
    grid.present = {1, 2}
    squad.after = lambda: grid.present.add(3)  # it comes after that has refused
    seats.wait_for_all(60.0, grace=0.1)
    assert seats.nodes == {0: 1, 2: 3}
    _, squad, seats = team(0, 1, 2)
    for device in squad.devices.values():
        device.refusal = "no env proxy answers"
    with pytest.raises(SeatsError, match="no env proxy answers"):
        seats.wait_for_all(60.0, grace=60.0)


def test_an_answer_to_nothing_that_was_asked_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, squad, seats = team(0, 1, 2)
    answer = squad._answer

    def forged(device: Device, message: Message, kind: str) -> Message:
        reply = answer(device, message, kind)
        if device.seat == 1:
            reply.metadata.__dict__["_reply_to_message_id"] = "made up"
        return reply

    monkeypatch.setattr(squad, "_answer", forged)
    pull = grid.pull_messages
    monkeypatch.setattr(grid, "pull_messages", lambda ids: pull([*ids, "made up"]))  # a SuperLink goes by its own
    with pytest.raises(SeatsError, match="no device holds seat 1"):
        seats.wait_for_all(0.05)


def test_a_device_holds_one_seat(caplog: pytest.LogCaptureFixture) -> None:
    _, squad, seats = team(0, 1, 2)
    seats.wait_for_all(10.0)
    squad.devices[1].claims = {"seat": 1}
    seats.doubt(0)
    assert seats.poll() == []
    assert seats.nodes == {0: 1, 1: 2, 2: 3}
    assert (
        "node 1: a device that holds seat 0 says that it holds seat 1; a device may hold only one seat" in caplog.text
    )


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"n-agents": 30_000_000}, "a device says that 30000000 agents play; expected 2..1000"),
        ({"n-agents": 1, "seat": 0}, "a device says that 1 agents play; expected 2..1000"),
        ({"seat": -1}, "a device says that it holds seat -1; expected 0..2"),
        ({"seat": 3}, "a device says that it holds seat 3; expected 0..2"),
        ({"seat": 2**40}, f"a device says that it holds seat {2**40}; expected 0..2"),
        ({"n-agents": 99}, "seat 1 plays with 99 agents, the others with 3"),
        ({"n-agents": None}, "a device described itself with seat 1, n-agents None, round 0; expected whole numbers"),
        ({"seat": 1.5}, "a device described itself with seat 1.5, n-agents 3, round 0; expected whole numbers"),
        (
            {"round": float("nan")},
            "a device described itself with seat 1, n-agents 3, round nan; expected whole numbers",
        ),
        ({"seat": [0, 1]}, "a device described itself with seat [0, 1], n-agents 3, round 0; expected whole numbers"),
    ],
)
def test_a_device_whose_description_cannot_be_holds_no_seat(
    claims: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    grid, squad, seats = team(0, 1, 2, 1)
    squad.devices[4].claims = claims
    grid.present = {1, 2, 3}
    seats.wait_for_all(10.0)
    grid.present.add(4)
    assert seats.poll() == []
    assert seats.nodes == {0: 1, 1: 2, 2: 3}
    assert f"node 4: {reason}" in caplog.text


def test_flowers_wrapping_is_taken_off_an_error() -> None:
    _, _, seats = team(0)
    question = seats._question(1)
    for reason, text in (
        ("<class 'client.launch.AgentError'>:<'two\nlines <here>'>", "two\nlines <here>"),
        ("something else", "something else"),
    ):
        assert error_text(Message(Error(0, reason), reply_to=question)) == text


def test_what_the_battles_are_played_on_is_what_most_say() -> None:
    _, squad, seats = team(0, 1, 2)
    game, other = ({"provenance": json.dumps({"game": version})} for version in ("4.10", "5.0"))
    for node, claim in ((1, other), (2, game), (3, game)):
        squad.devices[node].claims = claim
    assert seats.provenance == {}
    seats.wait_for_all(10.0)
    assert seats.provenance == {"game": "4.10"}


NO_PROVENANCE = (
    *("", "no JSON", "[]", '{"game": 4}', '"text"', json.dumps({"game": "x" * 3000}), 7),
    *("[" * 2000, '{"game": "\\ud800"}', '{"\\ud800": "4.10"}', '{"game": "4.10\\n"}'),
)


@pytest.mark.parametrize("claim", NO_PROVENANCE)
def test_what_is_no_provenance_is_left_out_and_costs_no_seat(claim: object) -> None:
    _, squad, seats = team(0, 1, 2)
    squad.devices[1].claims = {"provenance": claim}
    seats.wait_for_all(10.0)
    assert seats.provenance == {}
