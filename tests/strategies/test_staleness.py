"""What a reply to an earlier round counts: FedBuff's step, by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from strategies.arithmetic import rebased, staleness_weight


def filled(value: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.full(2, value, np.float32)


@pytest.mark.parametrize(("staleness", "weight"), [(0, 1.0), (3, 0.5), (8, 1 / 3), (15, 0.25)])
def test_an_update_counts_less_the_later_it_is(staleness: int, weight: float) -> None:
    assert staleness_weight(staleness) == pytest.approx(weight, abs=1e-15)


def test_there_is_no_update_of_the_future() -> None:
    with pytest.raises(ValueError, match="staleness is -1, expected 0 or more"):
        staleness_weight(-1)


def test_a_late_update_counts_from_the_newest_aggregate() -> None:
    # 10 + 1/2 (6 - 2)
    np.testing.assert_array_equal(rebased(filled(6), filled(2), filled(10), 3), filled(12))


def test_an_update_in_time_counts_as_it_came() -> None:
    own = np.array([0.1, -0.0], np.float32)
    result = rebased(own, filled(2), filled(10), 0)
    assert result.tobytes() == own.tobytes()


def test_a_late_reply_takes_fedbuffs_step(team: Callable[..., Any]) -> None:
    played = team("a-pps", seats=3)
    everyone = dict(played.strategy.seats)
    first = played.configure()
    # Seats 0 and 1 are in time in rounds 1 to 3, and seat 2 answers round 1 in round 4.
    in_time = {seat: everyone[seat] for seat in (0, 1)}
    played.strategy.place(in_time)
    played.aggregate([played.reply(first[0], 1.0), played.reply(first[1], 3.0)])  # w_g = 2
    for _ in range(2):
        messages = played.configure()
        played.aggregate([played.reply(message, 4.0) for message in messages])  # w_g = 4
    messages = played.configure()
    played.strategy.place(everyone)
    late = played.reply(first[2], 6.0)
    aggregate, metrics = played.aggregate([*(played.reply(message, 7.0) for message in messages), late])
    # Of seat 2: 4 + 1/2 (6 - 0) = 7, with staleness 3.
    assert aggregate is not None
    np.testing.assert_array_equal(aggregate["fc1.weight"], filled(7))
    assert (metrics["seats-replied"], metrics["seats-late"], metrics["staleness"]) == (3, 1, 3)
    assert played.strategy.missing == []


def test_a_late_agent_is_sent_all_its_tensors(team: Callable[..., Any]) -> None:
    played = team("pp-pps", seats=2)
    everyone = dict(played.strategy.seats)
    first = played.configure()
    played.strategy.place({0: everyone[0]})
    played.aggregate([played.reply(first[0], 1.0)])
    messages = played.configure()
    played.strategy.place(everyone)
    played.aggregate([played.reply(messages[0], 1.0), played.reply(first[1], 5.0)])
    sent = [set(message.content["arrays"]) for message in played.configure()]
    assert len(sent[0]) == 4
    assert len(sent[1]) == 8


def test_a_reply_of_another_round_than_the_one_asked_is_left_out(team: Callable[..., Any]) -> None:
    played = team("a-pps", seats=2)
    first = played.configure()
    played.aggregate([played.reply(message, 1.0) for message in first])
    messages = played.configure()
    _, metrics = played.aggregate([played.reply(messages[0], 2.0), played.reply(first[1], 2.0)])
    assert metrics["seats-replied"] == 1
    assert played.strategy.rejected == {1: "the reply belongs to round 1, expected 2"}
