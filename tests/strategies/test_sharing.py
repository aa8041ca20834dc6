"""Rounds of a whole team: what is sent to whom, how replies are aggregated, and who is left out."""

import dataclasses
import hmac
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Error, Message, MessageType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strategies.aggregate import Aggregate, Round, StrategyFaultError
from strategies.arithmetic import Weighting
from strategies.attestation import Attestation
from strategies.settings import SharingSettings
from strategies.sharing import Sharing
from strategies.state import State
from strategies.update import Bounds, Update
from tests.strategies.conftest import CREDULOUS, NETWORK, NO_GRID, Team, Tensors, record, tensors

MakeTeam = Callable[..., Team]


def signed_statement(key: bytes, **changes: Any) -> str:
    """As the env proxy writes it (`envproxy.attestation`)."""
    said = {"run": "id", "arena": "main", "round": 1, "reward-credit": "alive", "reward-buffer": 96, "battles": 4}
    statement = json.dumps(said | changes)
    return f"{hmac.digest(key, statement.encode(), 'sha256').hex()} {statement}"


def sent(message: Message) -> Tensors:
    return tensors(message.content.array_records["arrays"])


def values(own: Mapping[str, NDArray[np.float32]]) -> list[float]:
    """The one number that fills each tensor."""
    assert all(len(set(tensor.tolist())) == 1 for tensor in own.values())
    return [float(tensor[0]) for tensor in own.values()]


def changed(name: str, tensor: Any, weighting: Weighting | None = None) -> Aggregate:
    """An aggregate of which one tensor is not as it should be."""
    return Aggregate({**{each: np.zeros(2, np.float32) for each in NETWORK}, name: tensor}, weighting)


class TestMessages:
    def test_first_round(self, team: MakeTeam) -> None:
        """One train message per seat, in seat order, with the server's weights whole."""
        three = team(seats=3)
        three.strategy.place({2: 12, 0: 10, 1: 11})
        messages = three.configure()
        assert isinstance(messages, list)
        assert [message.metadata.dst_node_id for message in messages] == [10, 11, 12]
        for seat, message in enumerate(messages):
            assert message.metadata.message_type == MessageType.TRAIN
            assert message.metadata.group_id == "1"
            assert message.metadata.ttl == 60.0
            assert message.content["config"] == {"round-timeout": 60, "map": "3m", "seat": seat, "round": 1}
            assert list(sent(message)) == NETWORK
            assert values(sent(message)) == [0.0] * 8

    def test_config_is_left_as_it_is(self, team: MakeTeam) -> None:
        two = team(seats=2)
        config = ConfigRecord({"round-timeout": 1.5})
        two.strategy.configure_train(1, record(two.initial), config, NO_GRID)
        assert config == {"round-timeout": 1.5}

    @pytest.mark.parametrize(
        ("strategy", "changed"),
        [("a-pps", NETWORK), ("rs-pps", NETWORK), ("pp-pps", NETWORK[4:]), ("none", [])],
    )
    def test_next_round_sends_just_what_changed(self, team: MakeTeam, strategy: str, changed: list[str]) -> None:
        two = team(strategy, seats=2)
        two.play((1.0, 1.0), (3.0, 1.0))
        for message in two.configure():
            assert isinstance(message.content["arrays"], ArrayRecord)
            assert list(sent(message)) == changed
            assert values(sent(message)) == [2.0] * len(changed)

    def test_missing_seat_gets_everything(self, team: MakeTeam) -> None:
        """Its personal tensors are its last known ones, the shared ones the others' mean."""
        three = team("pp-pps", seats=3)
        three.play((1.0, 1.0), (2.0, 1.0), (9.0, 1.0))
        first, second, third = three.configure()
        three.aggregate([three.reply(first, 4.0), three.reply(second, 6.0)])
        assert three.strategy.missing == [2]
        first, second, third = three.configure()
        assert list(sent(first)) == list(sent(second)) == NETWORK[4:]
        assert list(sent(third)) == NETWORK
        assert values(sent(third)) == [9.0] * 4 + [5.0] * 4

    def test_seat_missing_from_the_first_round_on(self, team: MakeTeam) -> None:
        two = team("pp-pps", seats=2)
        first, _ = two.configure()
        two.aggregate([two.reply(first, 4.0)])
        assert values(sent(two.configure()[1])) == [0.0] * 4 + [4.0] * 4

    def test_missing_seat_adopts_softly(self, team: MakeTeam) -> None:
        # Missing seat: 0.75 * 8 + 0.25 * 4 = 7; the one that replied: it is the aggregate.
        two = team("a-pps", seats=2, adopt=0.25)
        two.strategy.restore({0: two.filled(0.0), 1: two.filled(8.0)}, None)
        first, _ = two.configure()
        two.aggregate([two.reply(first, 4.0)])
        assert [values(sent(message))[0] for message in two.configure()] == [4.0, 7.0]

    def test_seat_that_came_back_gets_just_what_changed_again(self, team: MakeTeam) -> None:
        two = team("pp-pps", seats=2)
        first, _ = two.configure()
        two.aggregate([two.reply(first, 4.0)])
        two.play((1.0, 1.0), (1.0, 1.0))
        assert list(sent(two.configure()[1])) == NETWORK[4:]

    def test_seat_on_another_node_gets_everything(self, team: MakeTeam) -> None:
        two = team("none", seats=2)
        two.play((1.0, 1.0), (3.0, 1.0))
        two.strategy.place({0: 100, 1: 999})
        first, second = two.configure()
        assert sent(first) == {}
        assert values(sent(second)) == [3.0] * 8

    def test_seat_without_a_node_for_a_round(self, team: MakeTeam) -> None:
        two = team("none", seats=2)
        two.play((1.0, 1.0), (3.0, 1.0))
        two.strategy.place({0: 100})
        (first,) = two.configure()
        two.aggregate([two.reply(first, 5.0)])
        assert two.strategy.missing == []
        two.strategy.place({0: 100, 1: 101})
        assert [list(sent(message)) for message in two.configure()] == [[], NETWORK]

    def test_new_seat_gets_the_servers_weights(self, team: MakeTeam) -> None:
        one = team("a-pps", seats=1)
        one.play((5.0, 1.0))
        one.strategy.place({0: 100, 1: 101})
        assert [values(sent(message))[0] for message in one.configure()] == [5.0, 0.0]

    def test_no_seat_placed(self, team: MakeTeam) -> None:
        with pytest.raises(RuntimeError, match="no seat is placed"):
            team(seats=0).configure()

    def test_two_seats_on_one_node(self, team: MakeTeam) -> None:
        with pytest.raises(ValueError, match="every seat needs a node of its own"):
            team(seats=0).strategy.place({0: 5, 1: 5})

    def test_initial_weights_that_do_not_fit(self, team: MakeTeam) -> None:
        two = team(seats=2)
        two.strategy.restore({0: two.filled(1.0)}, None)
        two.initial = {"fc1.weight": np.zeros(2, np.float32)}
        with pytest.raises(ValueError, match="the initial weights for seat 1 are"):
            two.configure()

    def test_evaluation_is_part_of_the_round(self, team: MakeTeam) -> None:
        two = team(seats=2)
        strategy = two.strategy
        assert strategy.configure_evaluate(1, record(two.initial), ConfigRecord(), NO_GRID) == []
        assert strategy.aggregate_evaluate(1, []) is None


class TestAggregation:
    def test_metrics(self, team: MakeTeam) -> None:
        aggregate, metrics = team(seats=2).play((2.0, 1.0), (6.0, 3.0))
        # 0.25 * 2 + 0.75 * 6 = 5
        assert aggregate is not None
        assert values(aggregate) == [5.0] * 8
        assert metrics == {
            "seats-replied": 2,
            "seats-rejected": 0,
            "seats-missing": 0,
            "reward/0": 1.0,
            "reward/1": 3.0,
            # 2 and 6 from their mean 4: 2 * 2 * 2 of 4 + 36; both moved up from 0
            **dict.fromkeys(["divergence", *(f"divergence/{name}" for name in NETWORK)], pytest.approx(0.2**0.5)),
            "update-cosine": pytest.approx(1.0),
            "weight/0": 0.25,
            "weight/1": 0.75,
            "weight-ratio": 3.0,
            "agents-effective": pytest.approx(1.6),  # 1 / (1/16 + 9/16)
            "weights-shifted": 0,
            "weights-fell-back": 0,
            "weights-capped": 0,
        }

    # Round 1 ends with 2 and 6. Under rs-pps both begin round 2 with 5 and go apart; under none the second, which began
    # with 6, has not moved.
    @pytest.mark.parametrize(("strategy", "cosine"), [("rs-pps", -1.0), ("none", None)])
    def test_updates_are_measured_from_where_each_agent_began(
        self, team: MakeTeam, strategy: str, cosine: float | None
    ) -> None:
        two = team(strategy, seats=2)
        two.play((2.0, 1.0), (6.0, 3.0))
        _, metrics = two.play((4.0, 1.0), (6.0, 3.0))
        assert metrics.get("update-cosine") == (None if cosine is None else pytest.approx(cosine))
        assert metrics["divergence"] == pytest.approx((2 / 52) ** 0.5)

    def test_an_agent_that_counts_nothing_leaves_no_ratio(self, team: MakeTeam) -> None:
        _, metrics = team(seats=2).play((2.0, 0.0), (6.0, 3.0))
        assert metrics["agents-effective"] == 1.0
        assert "weight-ratio" not in metrics

    @pytest.mark.parametrize(
        ("rewards", "shifted", "fell_back", "mean"),
        [((1.0, 3.0), 0, 0, 5.0), ((-1.0, 3.0), 1, 0, 6.0), ((0.0, 0.0), 0, 1, 4.0)],
    )
    def test_rewards_that_are_no_proportions_are_logged(
        self,
        team: MakeTeam,
        caplog: pytest.LogCaptureFixture,
        rewards: tuple[float, float],
        shifted: int,
        fell_back: int,
        mean: float,
    ) -> None:
        with caplog.at_level(logging.INFO):
            aggregate, metrics = team(seats=2).play((2.0, rewards[0]), (6.0, rewards[1]))
        assert aggregate is not None
        assert values(aggregate) == [mean] * 8
        assert (metrics["weights-shifted"], metrics["weights-fell-back"]) == (shifted, fell_back)
        assert len(caplog.records) == shifted + fell_back

    def test_no_weight_exceeds_max_weight(self, team: MakeTeam, caplog: pytest.LogCaptureFixture) -> None:
        three = team(seats=3, max_weight=0.5)
        aggregate, metrics = three.play((1.0, 1.0), (2.0, 3.0), (9.0, 96.0))
        # 0.01, 0.03, 0.96: the third keeps a half, the others share the other half as 1 to 3
        assert [metrics[f"weight/{seat}"] for seat in range(3)] == pytest.approx([0.125, 0.375, 0.5])
        assert metrics["weights-capped"] == 1
        assert aggregate is not None
        assert values(aggregate) == [5.375] * 8
        assert caplog.messages == [
            "round 1: rewards 1, 3, 96: an agent would weigh more than max-weight 0.5; "
            "the weights are 0.125, 0.375, 0.5"
        ]

    def test_order_of_replies_does_not_matter(self, team: MakeTeam) -> None:
        outcomes = []
        for order in ([0, 1, 2], [2, 0, 1]):
            three = team(seats=3)
            messages = three.configure()
            agents = [(0.1, 0.3), (0.7, 0.1), (0.2, 0.9)]
            replies = [three.reply(message, *agent) for message, agent in zip(messages, agents, strict=True)]
            aggregate, metrics = three.aggregate(replies[i] for i in order)
            assert aggregate is not None
            outcomes.append((record(aggregate), list(metrics.items())))
        assert outcomes[0] == outcomes[1]

    @pytest.mark.parametrize(("adopt", "expected"), [(0.0, [2.0, 6.0]), (0.05, [2.1, 5.9]), (1.0, [4.0, 4.0])])
    def test_adopt(self, team: MakeTeam, adopt: float, expected: list[float]) -> None:
        # Mean 4: 0.95 * 2 + 0.05 * 4 = 2.1, 0.95 * 6 + 0.05 * 4 = 5.9
        two = team("a-pps", seats=2, adopt=adopt)
        two.play((2.0, 1.0), (6.0, 1.0))
        as_float32 = [[float(np.float32(value))] * 8 for value in expected]
        assert [values(own) for own in two.strategy.agents().values()] == as_float32
        assert [values(sent(message)) for message in two.configure()] == as_float32

    @settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        weights=st.floats(width=32, allow_nan=False, allow_infinity=False),
        rewards=st.lists(st.floats(-100.0, 100.0), min_size=1, max_size=4),
        adopt=st.floats(0.0, 1.0),
    )
    def test_identical_agents_stay_identical(
        self, team: MakeTeam, weights: float, rewards: list[float], adopt: float
    ) -> None:
        many = team("rs-pps", seats=len(rewards), adopt=adopt)
        many.play(*[(weights, reward) for reward in rewards])
        for own in many.strategy.agents().values():
            assert all(tensor.tobytes() == many.filled(weights)[name].tobytes() for name, tensor in own.items())


RATE = "; the likely cause is the learning-rate of 0.0005: choose a smaller one"


class TestRejection:
    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda t, m: t.reply(m, np.nan), f"tensor fc1.weight holds NaN, expected finite numbers{RATE}"),
            (lambda t, m: t.reply(m, -np.inf), f"tensor fc1.weight holds infinity, expected finite numbers{RATE}"),
            (
                lambda t, m: t.reply(m, 1.0, np.nan),
                'metric "reward-sum" is nan, expected a finite number',
            ),
            (
                lambda t, m: t.reply(m, 1.0, np.inf),
                'metric "reward-sum" is inf, expected a finite number',
            ),
            (
                lambda t, m: t.reply(m, 1.0, reward_battles=-1),
                'metric "reward-battles" is -1, expected an integer of at least 0',
            ),
            (
                lambda t, m: t.reply(m, {**t.filled(1.0), "rnn.bias_hh": np.zeros((2, 2), np.float32)}),
                "tensor rnn.bias_hh has shape (2, 2), expected (2,)",
            ),
            (lambda t, m: t.reply(m, 1.0, seat=0), "the reply is of seat 0, but its node holds seat 1"),
            (
                lambda t, m: Message(Error(code=2, reason="out of memory"), reply_to=m),
                "Flower reports error 2 in place of a reply: out of memory",
            ),
        ],
    )
    def test_by_name_and_the_round_goes_on(
        self,
        team: MakeTeam,
        caplog: pytest.LogCaptureFixture,
        spoil: Callable[[Team, Message], Message],
        reason: str,
    ) -> None:
        three = team("a-pps", seats=3)
        three.play((7.0, 1.0), (7.0, 1.0), (7.0, 1.0))
        first, second, third = three.configure()
        aggregate, metrics = three.aggregate([three.reply(first, 1.0), spoil(three, second), three.reply(third, 5.0)])
        assert aggregate is not None
        assert values(aggregate) == [3.0] * 8
        assert three.strategy.rejected == {1: reason}
        assert three.strategy.missing == []
        assert (metrics["seats-replied"], metrics["seats-rejected"]) == (2, 1)
        assert "weight/1" not in metrics
        assert "reward/1" not in metrics
        assert [(r.levelname, r.message) for r in caplog.records] == [
            ("WARNING", f"round 2: seat 1 left out: {reason}")
        ]
        # Next round it is told everything again, and the round after that it may take part.
        assert values(sent(three.configure()[1])) == [3.0] * 8
        assert list(three.strategy.agents()) == [0, 1, 2]

    @pytest.mark.parametrize(
        ("bounds", "reply", "reason"),
        [
            ({"battles": 3}, (1.0, 1.0), 'metric "reward-battles" is 4, expected at most reward-buffer (3)'),
            (
                {"mean_return": 20.0},
                (1.0, 81.0),
                'metric "reward-sum" is 81 over 4 battles, expected at most max-return (20) for each, gained or lost',
            ),
            (
                {"change": 1.5},
                (-1.0, 1.0),  # from 1
                "tensor fc1.weight has moved by 2 in a round, expected at most 1.5: "
                "no training does that with this learning-rate",
            ),
        ],
    )
    def test_what_is_not_believed(
        self, team: MakeTeam, bounds: dict[str, Any], reply: tuple[float, float], reason: str
    ) -> None:
        three = team("a-pps", seats=3, bounds=Bounds(battles=4, mean_return=20.0, change=1.5))
        three.play((1.0, 80.0), (1.0, 80.0), (1.0, -80.0))
        assert three.strategy.rejected == {}
        three.strategy.settings = dataclasses.replace(
            three.strategy.settings, bounds=dataclasses.replace(three.strategy.settings.bounds, **bounds)
        )
        first, second, third = three.configure()
        honest = {"reward_battles": 3}
        aggregate, _ = three.aggregate(
            [three.reply(first, 0.5, **honest), three.reply(second, *reply), three.reply(third, 2.5, **honest)]
        )
        assert three.strategy.rejected == {1: reason}
        assert aggregate is not None
        assert values(aggregate) == [1.5] * 8

    def test_what_the_env_proxy_attests_counts_and_not_what_is_claimed(self, team: MakeTeam) -> None:
        key = bytes(32)
        three = team("rs-pps", seats=3, attestation=Attestation(key, "id", "main", "alive", 96))
        replies = []
        for seat, message in enumerate(three.configure()):
            reply = three.reply(message, float(seat), 1e9 if seat == 2 else 1.0)
            signed = signed_statement(bytes(32), seat=seat, reward=2.0 * seat)
            reply.content["config"] = ConfigRecord({"attested": signed} if seat else {})
            replies.append(reply)
        aggregate, metrics = three.aggregate(replies)
        assert aggregate is not None
        assert [metrics["reward/1"], metrics["reward/2"]] == [2.0, 4.0]
        assert values(aggregate) == [float(np.float32(1 / 3 * 1.0 + 2 / 3 * 2.0))] * 8
        assert list(three.strategy.rejected) == [0]
        assert three.strategy.rejected[0].startswith("the env proxy attests no reward")

    def test_all(self, team: MakeTeam) -> None:
        """Nothing to aggregate: every agent is sent the tensors of the round before."""
        two = team("a-pps", seats=2, adopt=0.5)
        two.play((2.0, 1.0), (6.0, 1.0))
        messages = two.configure()
        aggregate, metrics = two.aggregate([two.reply(message, np.nan) for message in messages])
        assert aggregate is None
        assert metrics == {"seats-replied": 0, "seats-rejected": 2, "seats-missing": 0}
        assert [values(sent(message)) for message in two.configure()] == [[3.0] * 8, [5.0] * 8]

    def test_all_missing(self, team: MakeTeam, caplog: pytest.LogCaptureFixture) -> None:
        two = team(seats=2)
        two.configure()
        aggregate, metrics = two.aggregate([])
        assert aggregate is None
        assert metrics["seats-missing"] == 2
        assert caplog.messages == [
            "round 1: seats 0, 1 left out: no reply from nodes 100, 101",
        ]

    def test_what_all_have_in_common_is_told_once(self, team: MakeTeam, caplog: pytest.LogCaptureFixture) -> None:
        three = team("a-pps", seats=3)
        three.aggregate([three.reply(message, np.nan) for message in three.configure()])
        reason = f"tensor fc1.weight holds NaN, expected finite numbers{RATE}"
        assert three.strategy.rejected == dict.fromkeys(range(3), reason)
        assert three.strategy.diverged.keys() == {0, 1, 2}
        assert caplog.messages == [f"round 1: seats 0, 1, 2 left out: {reason}"]

    @pytest.mark.parametrize(
        ("spoil", "diverged"),
        [
            (lambda t, m: t.reply(m, np.inf), {0}),
            (lambda t, m: t.reply(m, 1.0, loss=np.nan), {0}),
            (lambda t, m: t.reply(m, 1.0, **{"grad-norm": np.inf}), {0}),
            (lambda t, m: t.reply(m, 1.0, **{"q-mean": -1e300}), {0}),
            (lambda t, m: t.reply(m, 1.0, **{"td-error": [0.5]}), set()),
            (lambda t, m: t.reply(m, 1.0, np.nan), set()),
            (lambda t, m: t.reply(m, 1.0, seat=1), set()),
        ],
    )
    def test_training_that_has_diverged_is_known_from_other_faults(
        self, team: MakeTeam, spoil: Callable[[Team, Message], Message], diverged: set[int]
    ) -> None:
        two = team("a-pps", seats=2)
        first, second = two.configure()
        two.aggregate([spoil(two, first), two.reply(second, 1.0)])
        assert two.strategy.diverged.keys() == diverged
        assert (RATE in two.strategy.rejected[0]) == bool(diverged)
        two.aggregate([two.reply(message, 1.0) for message in two.configure()])
        assert two.strategy.diverged == {}

    def test_list_is_of_the_last_round(self, team: MakeTeam) -> None:
        one = team(seats=1)
        one.aggregate([one.reply(one.configure()[0], np.nan)])
        assert list(one.strategy.rejected) == [0]
        one.play((1.0, 1.0))
        assert one.strategy.rejected == {}

    def test_unknown_node(self, team: MakeTeam, caplog: pytest.LogCaptureFixture) -> None:
        two = team("a-pps", seats=2)
        first, second = two.configure()
        two.strategy.place({0: 100})
        aggregate, metrics = two.aggregate([two.reply(first, 1.0), two.reply(second, 5.0)])
        assert aggregate is not None
        assert values(aggregate) == [1.0] * 8
        assert metrics["seats-replied"] == 1
        assert caplog.messages == ["round 1: reply of node 101 left out: it holds no seat"]

    def test_second_reply(self, team: MakeTeam, caplog: pytest.LogCaptureFixture) -> None:
        """The first counts, and the seat took part."""
        one = team("a-pps", seats=1)
        (message,) = one.configure()
        aggregate, _ = one.aggregate([one.reply(message, 1.0), one.reply(message, 5.0)])
        assert aggregate is not None
        assert values(aggregate) == [1.0] * 8
        assert one.strategy.rejected == {}
        assert caplog.messages == ["round 1: another reply of seat 0 left out: the first counts"]

    def test_late_reply_of_an_earlier_round(self, team: MakeTeam) -> None:
        one = team("a-pps", seats=1)
        (late,) = one.configure()
        one.aggregate([])
        (message,) = one.configure()
        aggregate, _ = one.aggregate([one.reply(late, 1.0)])
        assert aggregate is None
        assert one.strategy.rejected == {0: "the reply belongs to round 1, expected 2"}
        aggregate, _ = one.aggregate([one.reply(late, 1.0), one.reply(message, 5.0)])
        assert aggregate is not None
        assert values(aggregate) == [5.0] * 8
        assert one.strategy.rejected == {}

    def test_before_any_round(self, team: MakeTeam) -> None:
        with pytest.raises(RuntimeError, match="no round is configured"):
            team(seats=1).aggregate([])


class TestCheckpoint:
    def test_agents_as_they_start_the_next_round(self, team: MakeTeam) -> None:
        two = team("pp-pps", seats=2)
        two.play((1.0, 1.0), (5.0, 3.0))
        # 0.25 * 1 + 0.75 * 5 = 4
        agents = two.strategy.agents()
        assert {seat: values(own) for seat, own in agents.items()} == {
            0: [1.0] * 4 + [4.0] * 4,
            1: [5.0] * 4 + [4.0] * 4,
        }

    def test_copies(self, team: MakeTeam) -> None:
        two = team("a-pps", seats=2)
        two.play((1.0, 1.0), (1.0, 1.0))
        two.strategy.agents()[0]["fc1.bias"][:] = 9.0
        agents = two.strategy.agents()
        assert [values(own) for own in agents.values()] == [[1.0] * 8] * 2
        two.strategy.restore(agents, None)
        agents[0]["fc1.bias"][:] = 9.0
        assert [values(own) for own in two.strategy.agents().values()] == [[1.0] * 8] * 2

    def test_resumed_run_equals_an_uninterrupted_one(self, team: MakeTeam) -> None:
        first_round, second_round = ((0.1, 3.0), (0.7, 5.0)), ((0.3, 1.0), (0.2, 9.0))
        whole = team("pp-pps", seats=2, adopt=0.3)
        whole.play(*first_round)
        resumed = team("pp-pps", seats=2, adopt=0.3)
        resumed.strategy.restore(whole.strategy.agents(), whole.strategy.whole_state())
        assert [list(sent(message)) for message in resumed.configure()] == [NETWORK] * 2
        whole.play(*second_round)
        resumed.play(*second_round)
        for seat, own in whole.strategy.agents().items():
            assert record(own) == record(resumed.strategy.agents()[seat])

    def test_seats_that_differ(self, team: MakeTeam) -> None:
        two = team(seats=2)
        with pytest.raises(ValueError, match="the restored weights of seat 1 are"):
            two.strategy.restore({0: two.filled(1.0), 1: {"fc1.weight": np.zeros(2, np.float32)}}, None)


class Remembers(Sharing):
    """Keeps what it was told of each round."""

    def __init__(self, settings: SharingSettings) -> None:
        super().__init__(settings)
        self.rounds: list[Round] = []
        self.counts = np.zeros(2, np.int64)

    def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
        self.rounds.append(round_)
        self.counts += 1
        return super().combine(updates, names, round_)

    def state(self) -> State:
        return {"counts": self.counts, "rounds": len(self.rounds), "half": cast(float, np.float32(0.5))}

    def restore_state(self, state: State) -> None:
        self.counts = np.asarray(state["counts"])


class TestRound:
    def test_combine_knows_the_round(self) -> None:
        strategy = Remembers(CREDULOUS)
        three = Team(strategy, 3, NETWORK)
        three.play((1.0, 1.0), (2.0, 1.0), (3.0, 1.0))
        first, second, _ = three.configure()
        three.aggregate([three.reply(first, 4.0), three.reply(second, np.nan)])
        began, later = strategy.rounds
        assert (began.number, list(began.missing), list(began.rejected)) == (1, [], [])
        assert values(began.previous) == [0.0] * 8  # the initial weights
        assert (later.number, list(later.missing), list(later.rejected)) == (2, [2], [1])
        assert values(later.previous) == [2.0] * 8

    def test_what_combine_does_to_its_arrays_changes_nothing(self) -> None:
        class Overwrites(Sharing):
            def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
                for tensor in round_.previous.values():
                    tensor[:] = 99.0
                return super().combine(updates, names, round_)

        one = Team(Overwrites(CREDULOUS), 1, NETWORK)
        one.play((1.0, 1.0))
        aggregate, _ = one.play((2.0, 1.0))
        assert aggregate is not None
        assert values(aggregate) == [2.0] * 8

    def test_state_is_kept_and_restored(self) -> None:
        one = Team(Remembers(CREDULOUS), 1, NETWORK)
        one.play((1.0, 1.0))
        kept = one.strategy.whole_state()
        own = {name: value for name, value in kept.items() if name.startswith("own/")}
        assert own.keys() == {"own/counts", "own/rounds", "own/half"}
        one.play((1.0, 1.0))
        assert np.asarray(kept["own/counts"]).tolist() == [1, 1]  # a copy
        resumed = Remembers(CREDULOUS)
        resumed.restore(one.strategy.agents(), kept)
        assert resumed.counts.tolist() == [1, 1]

    def test_a_checkpoint_without_state_begins_with_a_new_one(self, caplog: pytest.LogCaptureFixture) -> None:
        strategy = Remembers(CREDULOUS)
        strategy.restore({0: {"w": np.zeros(2, np.float32)}}, None)
        assert caplog.messages == ["the checkpoint holds no state of Remembers: it begins with a new one"]

    def test_state_of_another_strategy_is_refused(self, team: MakeTeam) -> None:
        one = team("a-pps", seats=1)
        one.play((1.0, 1.0))
        agents, state = one.strategy.agents(), one.strategy.whole_state()
        with pytest.raises(ValueError, match="APPS keeps no state, the checkpoint holds counts"):
            one.strategy.restore(agents, {**state, "own/counts": 3})
        del state["aggregate/fc1.bias"]
        with pytest.raises(ValueError, match="the restored aggregate is "):
            one.strategy.restore(agents, state)


class Broken(Sharing):
    """A strategy whose author made a mistake."""

    result: Sequence[float] = ()
    names: Sequence[str] = NETWORK

    def weights(self, updates: Sequence[Update]) -> Weighting:
        return Weighting(np.array(self.result))

    def shared(self, names: Sequence[str]) -> list[str]:
        return list(self.names)


class TestMistakesOfSubclasses:
    @pytest.mark.parametrize("result", [[1.0], [0.5, 0.6], [-0.5, 1.5], [np.nan, 1.0]])
    def test_weights(self, result: list[float]) -> None:
        strategy = Broken(CREDULOUS)
        strategy.result = result
        with pytest.raises(StrategyFaultError, match=r"Broken\.weights returned .* expected 2 weights"):
            Team(strategy, 2, NETWORK).play((1.0, 1.0), (1.0, 1.0))

    @pytest.mark.parametrize(
        ("returned", "reason"),
        [
            (None, "returned a NoneType, expected an Aggregate"),
            (Aggregate({}, None), r"returned tensors \[\], expected \['fc1.weight', "),
            (
                changed("fc2.bias", np.full(2, np.nan, np.float32)),
                r"returned tensor fc2\.bias with NaN, expected finite",
            ),
            (changed("fc2.bias", np.full(2, np.inf, np.float32)), r"returned tensor fc2\.bias with infinity"),
            (
                changed("fc2.bias", np.zeros(3, np.float32)),
                r"returned tensor fc2\.bias of shape \(3,\), expected \(2,\)",
            ),
            (changed("fc2.bias", np.zeros(2)), r"returned tensor fc2\.bias of type float64, expected float32"),
            (changed("fc2.bias", [0.0, 0.0]), r"returned tensor fc2\.bias as a list, expected a numpy array"),
            (
                changed("fc2.bias", np.zeros(2, np.float32), Weighting(np.array([0.5]))),
                r"returned weights \[0.5\], expected 1 weights of at least 0 with sum 1",
            ),
        ],
    )
    def test_combine(self, returned: Any, reason: str) -> None:
        class Combines(Sharing):
            def combine(self, updates: Sequence[Update], names: Sequence[str], round_: Round) -> Aggregate:
                return returned  # type: ignore[no-any-return]

        one = Team(Combines(CREDULOUS), 1, NETWORK)
        with pytest.raises(StrategyFaultError, match=rf"^Combines\.combine {reason}"):
            one.play((1.0, 1.0))
        assert values(one.strategy.agents()[0]) == [1.0] * 8  # as the agent sent them

    @pytest.mark.parametrize("value", ["text", None, np.array(["text"]), {"a": 1}])
    def test_state(self, value: Any) -> None:
        class Keeps(Sharing):
            def state(self) -> State:
                return {"it": value}

        with pytest.raises(TypeError, match="state 'it' is a"):
            Keeps(CREDULOUS).whole_state()

    def test_shared(self) -> None:
        strategy = Broken(CREDULOUS)
        strategy.names = ["fc3.weight"]
        with pytest.raises(StrategyFaultError, match=r"Broken\.shared names unknown tensors: fc3\.weight"):
            Team(strategy, 1, NETWORK).play((1.0, 1.0))
