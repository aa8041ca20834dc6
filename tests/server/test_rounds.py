"""Rounds over the real Grid and the real strategies, with devices that answer without playing."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from typing import Any

import hypothesis
import numpy as np
import pytest
from flwr.app import Message
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

import server.exchange
from server.checkpoints import Checkpoint
from server.rounds import DivergedError, RoundResult, RoundsError
from server.seats import SeatsError
from strategies.figures import COUNTS, EVALUATIONS, LEARNING, NUMBERS, REWARDS
from tests.server.squad import Device, Field, Squad, Tensors, filled, rounds, settings

RUN = settings(strategy="a-pps", total_steps=300, aggregation_every=10, batch_size=4, round_timeout=30.0)
PERSONAL = RUN.model_copy(update={"strategy": "pp-pps"})


def team(seats: int = 3) -> tuple[Field, Squad]:
    """Node i + 1 holds seat i, whose rounds add i + 1 to every weight."""
    squad = Squad({seat + 1: Device(seat, gain=seat + 1.0) for seat in range(seats)})
    return Field(squad), squad


def play(grid: Field, start: Checkpoint | None = None, run: Any = RUN) -> list[RoundResult]:
    return list(rounds(grid, run).play(start))


def round_row(result: RoundResult) -> dict[str, Any]:
    assert result.rows[-1]["kind"] == "round"
    return result.rows[-1]


def values(tensors: Tensors) -> set[float]:
    return {float(value) for tensor in tensors.values() for value in tensor}


# --- a whole run ----------------------------------------------------------------------------------------------


def test_a_run_is_played_to_its_steps_and_shares_after_every_round() -> None:
    grid, squad = team()
    results = play(grid)
    assert [(r.checkpoint.round, r.checkpoint.steps) for r in results] == [(1, 100), (2, 200), (3, 300)]
    assert [values(r.checkpoint.agents[seat]) for r in results for seat in range(3)] == [
        *[{2.0}] * 3,  # the mean of 1, 2, 3
        *[{4.0}] * 3,
        *[{6.0}] * 3,
    ]
    assert [values(sent) for sent in squad.devices[1].sent] == [{0.0}, {2.0}, {4.0}]
    assert squad.asked[:6] == [(node, kind) for kind in ("query.describe", "query.weights") for node in (1, 2, 3)]
    assert [kind for _, kind in squad.asked[6:]] == ["train"] * 9


def test_every_seat_is_told_where_the_round_begins_and_how_long_it_is() -> None:
    grid, squad = team()
    play(grid)
    for seat in range(3):
        orders = squad.devices[seat + 1].orders
        assert [(o["seat"], o["round"], o["steps-before"]) for o in orders] == [
            (seat, 1, 0),
            (seat, 2, 100),
            (seat, 3, 200),
        ]
        assert [o["round-battles"] for o in orders] == [13, 10, 10]
        assert [o["seats"] for o in orders] == [[0, 1, 2]] * 3
        assert {"run-id", "protocol", "version", *RUN.config()} < orders[0].keys()


def test_with_an_overlap_every_message_announces_the_next_round() -> None:
    grid, squad = team()
    play(grid, run=RUN.model_copy(update={"overlap": 5}))
    orders = squad.devices[1].orders
    assert [order["next-battles"] for order in orders] == [10, 10, 10]
    assert [order["order"] for order in orders[1:]] == [order["next-order"] for order in orders[:-1]]
    assert len({order["order"] for order in orders}) == 3


def test_without_an_overlap_no_message_announces_a_round() -> None:
    grid, squad = team()
    play(grid)
    assert not any(name.startswith("next-") for name in squad.devices[1].orders[0])


def test_with_an_overlap_a_round_that_is_played_again_has_an_order_that_was_not_announced() -> None:
    grid, squad = team()
    run = RUN.model_copy(update={"overlap": 5})
    played = rounds(grid, run).play(None)
    next(played)
    for device in squad.devices.values():
        device.failure = "no room"

    def recover() -> None:
        if len(squad.devices[1].orders) == 2:
            for device in squad.devices.values():
                device.failure = ""

    squad.after = recover
    assert next(played).checkpoint.round == 2
    first, failed, again = squad.devices[1].orders
    assert (failed["round"], again["round"]) == (2, 2)
    assert first["next-order"] == failed["order"]
    assert again["order"] not in (failed["order"], failed["next-order"])


def test_with_an_overlap_a_round_lasts_from_the_replies_before_to_its_own() -> None:
    grid, _ = team()
    rows = [round_row(result)["seconds"] for result in play(grid, run=RUN.model_copy(update={"overlap": 5}))]
    assert [seconds["aggregation"] for seconds in rows] == [0.0] * 3  # a part of the round that follows
    assert all(seconds["round"] > 0.0 for seconds in rows)


def test_battles_that_give_the_training_steps_of_a_round() -> None:
    assert RUN.round_battles(2) == 10
    assert RUN.round_battles(1) == 13  # the first batch must be there before anything is learnt
    half = settings(aggregation_every=10, train_per_battle=0.3, batch_size=4)
    assert [half.round_battles(round_) for round_ in (1, 2)] == [37, 34]
    twice = settings(aggregation_every=1, train_per_battle=2.0, batch_size=1)
    assert [twice.round_battles(round_) for round_ in (1, 2)] == [1, 1]


def test_a_round_has_a_row() -> None:
    grid, squad = team()
    squad.devices[2].report = {"battles": 8, "missed": 2, "loss": 0.5, "seconds-learning": 0.9}
    squad.devices[3].report = {"steps": 90, "loss": 1.5}
    row = round_row(play(grid)[0])
    assert (row["round"], row["steps"], row["played"], row["battles"]) == (1, 100, 100, 10)
    assert (row["win-rate"], row["return"], row["length"]) == (0.4, 5.0, 10.0)
    assert row["loss"] == 1.0  # the mean of those that learnt
    assert row["td-error"] is None
    assert row["training-steps"] == 10
    assert row["seconds"].keys() == {"round", "aggregation", "flower", "waiting", "acting", "learning"}
    assert row["seconds"]["learning"] == pytest.approx(0.5)
    assert row["seats"]["1"]["missed"] == 2
    assert row["shared"]["seats-replied"] == 3
    assert row["shared"]["agents-effective"] == pytest.approx(3.0)
    assert row["shared"]["update-cosine"] == pytest.approx(1.0)
    assert (row["rejected"], row["missing"]) == ({}, [])


def test_evaluations_are_rows_once_however_many_seats_report_them() -> None:
    grid, squad = team()

    def seen(*steps: int) -> dict[str, Any]:
        return {
            "evaluate-steps": list(steps),
            "evaluate-battles": [32 for _ in steps],
            "evaluate-won": [step // 10 for step in steps],
            "evaluate-return": [step / 10 for step in steps],
            "evaluate-length": [20.0 for _ in steps],
        }

    squad.devices[2].report = seen(50, 90)
    squad.devices[3].report = seen(20, 50)
    rows = play(grid)[0].rows
    assert [row["kind"] for row in rows] == ["evaluation"] * 3 + ["round"]
    assert [row["steps"] for row in rows[:3]] == [20, 50, 90]
    assert rows[1] == {
        "kind": "evaluation",
        "round": 1,
        "steps": 50,
        "battles": 32,
        "won": 5,
        "win-rate": 5 / 32,
        "return": 5.0,
        "length": 20.0,
    }
    assert not [name for seat in rows[3]["seats"].values() for name in seat if name.startswith("evaluate")]


# --- seats that fail ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"failure": "no env proxy answers"}, "no env proxy answers"),
        ({"gain": np.nan}, "tensor fc1.weight holds NaN, expected finite numbers"),
        ({"report": {"reward-sum": np.inf}}, 'metric "reward-sum" is inf, expected a finite number'),
        ({"report": {"seat": 2}}, "the reply is of seat 2, but its node holds seat 1"),
    ],
)
def test_a_seat_without_a_usable_answer_is_left_out_by_name(
    fault: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    grid, squad = team()
    vars(squad.devices[2]).update(fault)
    results = play(grid)
    assert len(results) == 3
    row = round_row(results[0])
    assert row["seats"].keys() == {"0", "2"}
    assert said in row["rejected"]["1"]
    assert row["missing"] == []
    assert "round 1: seat 1 left out" in caplog.text
    assert values(results[0].checkpoint.agents[0]) == {2.0}  # the mean of 1 and 3
    assert [values(sent) for sent in squad.devices[2].sent] == [{0.0}, {2.0}, {4.0}]


def test_a_silent_seat_is_named_as_missing_and_the_round_continues() -> None:
    grid, squad = team()
    run = settings(strategy="a-pps", total_steps=100, batch_size=4, round_timeout=0.05)
    squad.after = lambda: setattr(squad.devices[3], "mute", True)  # after it has said which seat it is
    row = round_row(play(grid, run=run)[0])
    assert row["seats"].keys() == {"0", "1"}
    assert row["missing"] == [2]


def test_what_a_seat_learnt_before_its_node_went_away_counts() -> None:
    """Its reply has come; while the round waits for seat 2, its node vanishes."""
    grid, squad = team()

    def leave() -> None:
        squad.devices[3].mute = True
        if squad.devices[1].orders:
            grid.present.discard(1)

    squad.after = leave
    run = settings(strategy="a-pps", total_steps=100, batch_size=4, round_timeout=0.05)
    (result,) = play(grid, run=run)
    assert round_row(result)["seats"].keys() == {"0", "1"}
    assert values(result.checkpoint.agents[1]) == {1.5}  # the mean of 1 and 2


def test_a_seat_whose_node_went_away_without_an_answer_is_missing_by_name() -> None:
    grid, squad = team()

    def leave() -> None:
        squad.devices[3].mute = True
        if squad.devices[1].orders:
            grid.present.discard(3)

    squad.after = leave
    (result,) = play(grid, run=settings(strategy="a-pps", total_steps=100, batch_size=4, round_timeout=0.05))
    assert round_row(result)["missing"] == [2]


def test_nobody_answers_three_times() -> None:
    grid, squad = team()
    for device in squad.devices.values():
        device.failure = f"the disk of seat {device.seat} is full"
    with pytest.raises(RoundsError) as over:
        play(grid)
    said = failed("the disk of the seat is full")
    assert str(over.value) == f"3 times no device brought round 1 to its end; seats 0, 1, 2: {said}"
    assert [o["round"] for o in squad.devices[1].orders] == [1, 1, 1]


def test_each_reason_is_told_once_with_its_seats() -> None:
    grid, squad = team(5)
    for seat, failure in enumerate(("the disk is full", "no env proxy answers", "the disk is full", "seat 3 is taken")):
        squad.devices[seat + 1].failure = failure
    squad.devices[5].unheard = 3
    with pytest.raises(RoundsError) as over:
        play(grid, run=RUN.model_copy(update={"round_timeout": 0.5}))
    assert str(over.value) == (
        f"3 times no device brought round 1 to its end; seats 0, 2: {failed('the disk is full')}; "
        f"seat 1: {failed('no env proxy answers')}; seat 3: {failed('seat 3 is taken')}; seat 4: no reply"
    )


def failed(reason: str) -> str:
    """What is said of a device that failed with a reason."""
    return f"Flower reports error 0 in place of a reply: <class 'client.launch.AgentError'>:<'{reason}'>"


def test_training_that_has_diverged_ends_the_run_at_once_and_names_the_learning_rate() -> None:
    grid, squad = team()
    squad.devices[1].gain = np.inf
    for node in (2, 3):
        squad.devices[node].report = {"loss": np.nan}
    with pytest.raises(DivergedError) as over:
        play(grid)
    assert str(over.value) == (
        "training has diverged in round 1; the likely cause is the learning-rate of 1: choose a smaller one "
        "(seat 0: tensor fc1.weight holds infinity, expected finite numbers; "
        'seats 1, 2: metric "loss" is nan, expected a finite number)'
    )
    assert [len(device.orders) for device in squad.devices.values()] == [1, 1, 1]


def test_a_run_continues_with_the_seats_that_have_not_diverged() -> None:
    grid, squad = team()
    squad.devices[1].report = {"loss": np.nan}
    results = play(grid)
    assert [r.checkpoint.steps for r in results] == [100, 200, 300]
    assert "the likely cause is the learning-rate of 1" in round_row(results[0])["rejected"]["0"]


def test_a_round_that_fails_twice_is_played_the_third_time() -> None:
    grid, squad = team()
    for device in squad.devices.values():
        device.failure = "not now"

    def mend() -> None:
        for device in squad.devices.values():
            device.failure = "" if len(device.orders) == 2 else device.failure

    squad.after = mend
    results = play(grid)
    assert [r.checkpoint.round for r in results] == [1, 2, 3]
    assert [o["round"] for o in squad.devices[1].orders] == [1, 1, 1, 2, 3]
    assert [values(sent) for sent in squad.devices[1].sent][:3] == [{0.0}] * 3


def test_a_team_that_is_never_complete_ends_the_run() -> None:
    grid, _ = team()
    grid.present = {1, 2}
    with pytest.raises(SeatsError, match="no device holds seat 2"):
        play(grid, run=settings(round_timeout=0.02))


def test_a_device_that_refuses_ends_the_run_before_it_begins() -> None:
    grid, squad = team()
    squad.devices[2].refusal = "the run wants map '8m', but arena 'main' of the env proxy plays '3m'"
    with pytest.raises(SeatsError, match="the run wants map '8m'"):
        play(grid)
    assert not squad.devices[1].orders


def test_a_seat_whose_node_is_gone_is_not_among_those_that_the_others_are_told_of() -> None:
    grid, squad = team()
    squad.after = lambda: grid.present.discard(2) if squad.devices[1].orders else None
    play(grid)
    assert [o["seats"] for o in squad.devices[1].orders] == [[0, 1, 2], [0, 2], [0, 2]]


# --- seats that come back -------------------------------------------------------------------------------------


class Outage:
    """In round 2 the node of seat 2 dies with its question; it comes back as another node.

    `played_on`: seat 1 still plays the round when it does.
    """

    def __init__(self, grid: Field, squad: Squad, kept: int, played_on: bool) -> None:
        self.grid, self.squad, self.kept, self.played_on = grid, squad, kept, played_on
        squad.after = self

    def __call__(self) -> None:
        squad = self.squad
        if 30 in squad.devices:
            squad.devices[2].busy = False
        elif 3 in squad.devices and len(squad.devices[1].orders) == 1:
            squad.devices[3].mute = True  # from here on nothing that it is asked reaches it
            squad.devices[2].busy = self.played_on
        elif 3 in squad.devices and len(squad.devices[1].orders) == 2:
            self.grid.present.discard(3)
            back = squad.devices.pop(3)
            back.mute, back.round = False, self.kept
            squad.devices[30] = back
            self.grid.present.add(30)


def test_a_seat_that_comes_back_with_what_it_kept_is_asked_in_the_same_round(
    caplog: pytest.LogCaptureFixture,
) -> None:
    grid, squad = team()
    Outage(grid, squad, kept=1, played_on=True)
    with caplog.at_level(logging.INFO, "server"):
        results = play(grid, run=PERSONAL)
    assert [round_row(r)["seats"].keys() for r in results] == [{"0", "1", "2"}] * 3
    assert "seat 2: its node is gone" in caplog.text
    assert "seat 2 is back: round 2 goes to it again" in caplog.text
    back = squad.devices[30]
    assert [o["round"] for o in back.orders] == [1, 2, 3]
    assert [o["seats"] for o in back.orders] == [[0, 1, 2]] * 3
    assert [len(sent) for sent in back.sent] == [8, 4, 4]  # just what is shared, for it kept the rest


@pytest.mark.parametrize(("kept", "played_on"), [(0, True), (1, False)], ids=["its disk is lost", "no agent continues"])
def test_a_seat_that_comes_back_too_late_for_the_round_is_asked_in_the_next(kept: int, played_on: bool) -> None:
    grid, squad = team()
    Outage(grid, squad, kept, played_on)
    results = play(grid, run=PERSONAL)
    assert [sorted(round_row(r)["seats"]) for r in results] == [["0", "1", "2"], ["0", "1"], ["0", "1", "2"]]
    assert [round_row(r)["missing"] for r in results] == [[], [2], []]
    back = squad.devices[30]
    assert [o["round"] for o in back.orders] == [1, 3]
    assert len(back.sent[-1]) == 8
    # its own layers are those of its last reply, the shared ones those of the round it missed
    own = results[1].checkpoint.agents[2]
    assert {name: values({name: tensor}) for name, tensor in back.sent[-1].items()} == {
        name: values({name: tensor}) for name, tensor in own.items()
    }


# --- messages that are lost ------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at once, and doubt each device that has not answered."""
    for name in ("_PAUSE", "_POLL_EVERY", "_LATE", "_SILENCE"):
        monkeypatch.setattr(server.exchange, name, 0.0)


def busy_until(squad: Squad, node: int, done: Callable[[], bool]) -> None:
    """From the first round on the node's device plays, until `done`."""
    squad.after = lambda: setattr(
        squad.devices[node], "busy", "query.weights" in {kind for _, kind in squad.asked} and not done()
    )


@pytest.mark.usefixtures("impatient")
def test_an_order_that_was_lost_is_given_again_while_others_play(caplog: pytest.LogCaptureFixture) -> None:
    grid, squad = team()
    squad.devices[3].deaf = 1
    busy_until(squad, 2, lambda: bool(squad.devices[3].orders))
    results = play(grid)
    assert [round_row(r)["seats"].keys() for r in results] == [{"0", "1", "2"}] * 3
    assert "seat 2: round 1, or its answer, was lost on the way" in caplog.text
    assert [o["round"] for o in squad.devices[3].orders] == [1, 2, 3]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("lost", [{"deaf": 1}, {"unheard": 1}])
def test_a_seat_whose_message_was_lost_is_not_awaited_when_the_others_are_done(lost: dict[str, int]) -> None:
    grid, squad = team()
    vars(squad.devices[3]).update(lost)
    results = play(grid)
    assert [round_row(r)["missing"] for r in results] == [[2], [], []]
    assert [o["round"] for o in squad.devices[3].orders][-2:] == [2, 3]


@pytest.mark.usefixtures("impatient")
def test_a_round_whose_orders_were_all_lost_is_played_again() -> None:
    grid, squad = team()
    for device in squad.devices.values():
        device.deaf = 1
    results = play(grid)
    assert [r.checkpoint.round for r in results] == [1, 2, 3]
    assert [o["round"] for o in squad.devices[1].orders] == [1, 2, 3]


@pytest.mark.usefixtures("impatient")
def test_a_seat_that_is_only_slow_is_asked_once_and_waited_for() -> None:
    grid, squad = team()
    busy_until(squad, 3, lambda: squad.asked.count((3, "query.describe")) == 2)
    results = play(grid)
    assert [round_row(r)["seats"].keys() for r in results] == [{"0", "1", "2"}] * 3
    assert [kind for node, kind in squad.asked if node == 3] == [
        *("query.describe", "query.weights", "train", "query.describe", "train", "train")
    ]
    assert [o["round"] for o in squad.devices[3].orders] == [1, 2, 3]


def test_a_seat_that_did_not_answer_in_time_holds_up_no_further_round_until_it_answers() -> None:
    grid, squad = team()
    busy_until(squad, 3, lambda: len(squad.devices[1].orders) == 2)
    results = play(grid, run=RUN.model_copy(update={"round_timeout": 0.05}))
    assert [sorted(round_row(r)["seats"]) for r in results] == [["0", "1"], ["0", "1"], ["0", "1", "2"]]
    assert [round_row(r)["missing"] for r in results] == [[2], [], []]


def test_a_seat_whose_order_flower_gave_up_holds_up_no_further_round(caplog: pytest.LogCaptureFixture) -> None:
    grid, squad = team()
    squad.devices[3].expired = True
    results = play(grid)
    assert [sorted(round_row(r)["seats"]) for r in results] == [["0", "1"]] * 3
    assert [round_row(r)["missing"] for r in results] == [[2], [], []]
    assert [kind for node, kind in squad.asked if node == 3] == [
        *("query.describe", "query.weights", "train", "query.describe")
    ]
    assert "holds no seat" not in caplog.text


# --- hostile devices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ({"steps": None}, 'metric "steps" is None, expected an integer of at least 0'),
        ({"seconds-waiting": float("nan")}, 'metric "seconds-waiting" is nan, expected a finite number'),
        ({"seat": [0]}, 'metric "seat" is [0], expected an integer of at least 0'),
        ({"seat": 1}, "the reply is of seat 1"),
        ({"evaluate-steps": [50]}, 'metric "evaluate-battles" is None, expected 1 numbers, one for each of'),
    ],
)
def test_a_device_whose_figures_cannot_be_read_is_left_out(report: dict[str, Any], reason: str) -> None:
    grid, squad = team()
    squad.devices[1].report = report
    results = play(grid)
    assert [r.checkpoint.steps for r in results] == [100, 200, 300]
    assert [round_row(r)["rejected"]["0"].startswith(reason) for r in results] == [True] * 3
    assert [round_row(r)["seats"].keys() for r in results] == [{"1", "2"}] * 3


WHOLE, REAL = st.integers(-(2**63), 2**63 - 1), st.floats()
FIGURE = WHOLE | REAL | st.lists(WHOLE, max_size=3) | st.lists(REAL, max_size=3)
NAME = st.sampled_from([*COUNTS, *NUMBERS, *LEARNING, *EVALUATIONS, *REWARDS]) | st.text(max_size=5)


@hypothesis.settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(report=st.dictionaries(NAME, FIGURE), number=st.floats(width=32))
def test_whatever_a_device_reports_the_others_play_their_rounds(report: dict[str, Any], number: float) -> None:
    grid, squad = team()
    squad.devices[1].report, squad.devices[1].gain = report, number
    results = play(grid)
    assert [r.checkpoint.steps for r in results] == [100, 200, 300]
    assert all(round_row(r)["seats"].keys() >= {"1", "2"} for r in results)
    assert all(
        np.isfinite(tensor).all() for r in results for own in r.checkpoint.agents.values() for tensor in own.values()
    )


def test_one_device_cannot_end_a_run_before_its_time_or_hold_it_up() -> None:
    for lie in (10**12, 0):
        grid, squad = team()
        squad.devices[1].report = {"steps": lie, "battles": lie, "won": lie}
        results = play(grid)
        assert [r.checkpoint.steps for r in results] == [100, 200, 300]
        assert [(round_row(r)["battles"], round_row(r)["win-rate"], round_row(r)["length"]) for r in results] == [
            (10, 0.4, 10.0)
        ] * 3


def test_what_most_devices_say_of_an_evaluation_counts() -> None:
    grid, squad = team()
    for node, won in ((1, 9), (2, 3), (3, 3)):
        squad.devices[node].report = evaluation(50, won)
    first, *_ = play(grid)
    assert [(row["steps"], row["won"], row["win-rate"]) for row in first.rows if row["kind"] == "evaluation"] == [
        (50, 3, 0.3)
    ]


def test_an_evaluation_that_one_device_of_three_makes_up_does_not_count() -> None:
    grid, squad = team()
    squad.devices[1].report = {name: each * 9 for name, each in evaluation(60, 10).items()}
    squad.devices[1].report["evaluate-steps"] = [60, 70, *[50] * 4, *[80] * 3]  # whatever it says, it says once
    for node in (2, 3):
        squad.devices[node].report = evaluation(50, 3)
    first, *_ = play(grid)
    assert [(row["steps"], row["won"]) for row in first.rows if row["kind"] == "evaluation"] == [(50, 3)]


def test_an_answer_to_nothing_that_was_asked_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, squad = team()
    answer = squad._answer

    def forged(device: Device, message: Message, kind: str) -> Message:
        reply = answer(device, message, kind)
        if device.seat == 0 and kind == "train":
            reply.metadata.__dict__["_reply_to_message_id"] = "made up"
            reply.metadata.__dict__["_src_node_id"] = 2  # another device's node
        return reply

    monkeypatch.setattr(squad, "_answer", forged)
    pull = grid.pull_messages
    monkeypatch.setattr(grid, "pull_messages", lambda ids: pull(["made up", *ids]))
    (result,) = play(grid, run=settings(strategy="a-pps", total_steps=100, batch_size=4, round_timeout=0.2))
    assert (round_row(result)["missing"], round_row(result)["seats"].keys()) == ([0], {"1", "2"})
    assert values(result.checkpoint.agents[1]) == {2.5}  # the mean of 2 and 3


@pytest.mark.usefixtures("impatient")
def test_a_node_that_was_asked_for_one_seat_is_not_asked_for_another_in_the_same_round() -> None:
    """Its reply is in when it vanishes, and it comes back as the seat that still plays."""
    grid, squad = team(4)
    looks = itertools.count()
    nodes = grid.get_node_ids

    def present() -> Iterable[int]:
        look = next(looks) if squad.devices[1].orders else -1
        if look == 0:
            grid.present.discard(2)
        elif look == 1:
            squad.devices[2].seat, squad.devices[2].round = 2, 0
            grid.present.add(2)
        for node in (3, 4):
            squad.devices[node].busy = "query.weights" in {kind for _, kind in squad.asked} and look < 6
        return nodes()

    grid.get_node_ids = present  # type: ignore[method-assign]
    busy_until(squad, 4, lambda: not squad.devices[4].busy)
    squad.devices[3].busy = False
    results = play(grid, run=RUN.model_copy(update={"round_timeout": 3.0}))  # round 1 lasts so long
    assert [r.checkpoint.steps for r in results] == [100, 200, 300]
    assert [o["round"] for o in squad.devices[2].orders][:1] == [1]


def test_an_evaluation_of_steps_that_were_not_played_does_not_count() -> None:
    grid, squad = team()
    squad.devices[1].report = evaluation(10**12, 9)
    assert [row["kind"] for result in play(grid) for row in result.rows] == ["round"] * 3


def evaluation(steps: int, won: int) -> dict[str, Any]:
    figures = {"steps": steps, "battles": 10, "won": won, "return": 7.0, "length": 20.0}
    return {f"evaluate-{name}": [figure] for name, figure in figures.items()}


@pytest.mark.parametrize(
    ("initial", "said"),
    [
        (filled(float("nan")), "seat 0: initial weights left out: tensor fc1.weight holds NaN"),
        ({}, "seat 0: initial weights left out: the answer holds no tensor"),
        (filled(7.0), "seats begin with different weights: [[0], [1, 2]]; those of most are taken"),
    ],
)
def test_one_device_does_not_choose_what_all_begin_with(
    initial: Tensors, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    grid, squad = team()
    squad.devices[1].initial = initial
    play(grid)
    assert [values(squad.devices[node].sent[0]) for node in (1, 2, 3)] == [{0.0}] * 3
    assert said in caplog.text


def test_a_run_that_has_no_weights_to_begin_with_says_what_was_sent() -> None:
    grid, squad = team(2)
    for device in squad.devices.values():
        device.initial = filled(float("inf"))
    with pytest.raises(
        RoundsError,
        match=r"no seat has initial weights: seats 0, 1: tensor fc1.weight holds infinity, expected finite numbers$",
    ):
        play(grid)


# --- resume ---------------------------------------------------------------------------------------------------


def test_a_resumed_run_sends_every_seat_its_weights_and_continues_the_count() -> None:
    grid, squad = team()
    start = Checkpoint(7, 700, {seat: filled(10.0 * seat) for seat in range(3)})
    results = play(grid, start, PERSONAL.model_copy(update={"total_steps": 900}))
    assert [(r.checkpoint.round, r.checkpoint.steps) for r in results] == [(8, 800), (9, 900)]
    assert [kind for _, kind in squad.asked if kind == "query.weights"] == []
    for seat in range(3):
        device = squad.devices[seat + 1]
        assert [(o["round"], o["steps-before"], o["round-battles"]) for o in device.orders] == [
            (8, 700, 10),
            (9, 800, 10),
        ]
        assert [len(sent) for sent in device.sent] == [8, 4]
        assert values(device.sent[0]) == {10.0 * seat}


def test_a_seat_that_the_checkpoint_lacks_begins_with_anothers_weights() -> None:
    grid, squad = team()
    start = Checkpoint(7, 200, {seat: filled(10.0 + seat) for seat in (0, 1)})
    play(grid, start)
    assert values(squad.devices[3].sent[0]) == {10.0}


def test_a_run_that_is_done_plays_nothing() -> None:
    grid, squad = team()
    assert play(grid, Checkpoint(3, 300, {seat: filled(0.0) for seat in range(3)})) == []
    assert not squad.devices[1].orders


def test_what_is_done_meanwhile_delays_no_device() -> None:
    grid, squad = team()
    seen: list[tuple[list[str], int]] = []
    play = rounds(grid, RUN, lambda: seen.append((grid.out, len(squad.devices[1].orders)))).play(None)
    assert len(list(play)) == 3
    assert seen == [(["train"] * 3, answered) for answered in range(3)]  # a round's messages are out, unanswered
