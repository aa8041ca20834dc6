"""Each strategy's formula and the exact set of tensors it shares, for both base value functions."""

import logging
from collections.abc import Callable

import numpy as np
import pytest

from tests.strategies.conftest import MIXER, NETWORK, Team

MakeTeam = Callable[..., Team]
AGENTS = [(1.0, 2.0), (2.0, 0.0), (5.0, 6.0)]
ROBUST = ["median", "trimmed-mean", "krum", "multi-krum", "bulyan"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("a-pps", 8.0 / 3.0),  # (1 + 2 + 5) / 3
        ("rs-pps", 4.0),  # (2 * 1 + 0 * 2 + 6 * 5) / 8
        ("pp-pps", 4.0),
        ("median", 2.0),
        ("trimmed-mean", 8.0 / 3.0),  # by default it tolerates no hostile agent
        ("krum", 1.0),  # 1 and 2 are as near to each other; the lower seat counts
        ("multi-krum", 8.0 / 3.0),  # tolerates no agent unless told: all count
        ("bulyan", 8.0 / 3.0),
    ],
)
def test_aggregate(team: MakeTeam, strategy: str, expected: float) -> None:
    aggregate, _ = team(strategy).play(*AGENTS)
    assert aggregate is not None
    for tensor in aggregate.values():
        assert tensor.dtype == np.float32
        assert tensor.tolist() == [float(np.float32(expected))] * 2


@pytest.mark.parametrize("strategy", ["rs-pps", "pp-pps"])
def test_softmax_of_mean_returns(team: MakeTeam, strategy: str) -> None:
    # Over 4 battles each: mean returns 0 and ln 3, weights 1/4 and 3/4, 0.25 * 8 + 0.75 * 4 = 5.
    two = team(strategy, seats=2, reward_weighting="softmax")
    aggregate, metrics = two.play((8.0, 0.0), (4.0, 4.0 * np.log(3.0)))
    assert aggregate is not None
    assert metrics["weight/1"] == pytest.approx(0.75, rel=1e-14)
    assert aggregate["fc2.bias"].tolist() == [5.0, 5.0]


def test_softmax_takes_the_mean_and_not_the_sum(team: MakeTeam) -> None:
    two = team(seats=2, reward_weighting="softmax")
    first, second = two.configure()
    _, metrics = two.aggregate(
        [two.reply(first, 1.0, 10.0, reward_battles=10), two.reply(second, 1.0, 20.0, reward_battles=20)]
    )
    assert metrics["weight/0"] == metrics["weight/1"] == 0.5


def test_reward_weighting_does_not_touch_a_pps(team: MakeTeam) -> None:
    _, metrics = team("a-pps", seats=2, reward_weighting="softmax").play((1.0, 0.0), (1.0, 8.0))
    assert metrics["weight/0"] == metrics["weight/1"] == 0.5


@pytest.mark.parametrize("strategy", ROBUST)
@pytest.mark.parametrize("hostile", [1e30, -1e30, 3e38])
def test_robust_strategies_withstand_whom_they_tolerate(team: MakeTeam, strategy: str, hostile: float) -> None:
    """Neither its numbers nor what it claims to have earned move the aggregate beyond what the others sent."""
    five = team(strategy, seats=5, tolerate=1)
    aggregate, metrics = five.play((1.0, 1.0), (2.0, 1.0), (hostile, 1e9), (2.5, 1.0), (4.0, 1.0))
    assert aggregate is not None
    assert all(1.0 <= value <= 4.0 for tensor in aggregate.values() for value in tensor.tolist())
    assert metrics.get("weight/2", 0.0) == 0.0


def test_median_of_an_even_number_and_trimmed_mean_worked_by_hand(team: MakeTeam) -> None:
    sent = [(value, 1.0) for value in (1.0, 4.0, 2.0, 64.0, 3.0, 0.0)]
    outcomes = {}
    for strategy, tolerate in (("median", 0), ("trimmed-mean", 1), ("trimmed-mean", 2)):
        aggregate, metrics = team(strategy, seats=6, tolerate=tolerate).play(*sent)
        assert aggregate is not None
        assert not any(name.startswith(("weight", "agents-effective")) for name in metrics)
        outcomes[strategy, tolerate] = float(aggregate["fc1.bias"][0])
    # of 0 1 2 3 4 64: between 2 and 3; (1 + 2 + 3 + 4) / 4; (2 + 3) / 2
    assert outcomes == {("median", 0): 2.5, ("trimmed-mean", 1): 2.5, ("trimmed-mean", 2): 2.5}


def test_krum_says_whom_it_chose(team: MakeTeam) -> None:
    # Of 0 3 4 5 20 each has 5 - 1 - 2 = 2 nearest: squares 9 + 16, 1 + 4, 1 + 1, 1 + 4, 225 + 256
    five = team("krum", seats=5, tolerate=1)
    aggregate, metrics = five.play((0.0, 1.0), (3.0, 1.0), (4.0, 1.0), (5.0, 1.0), (20.0, 99.0))
    assert aggregate is not None
    assert aggregate["fc1.bias"].tolist() == [4.0, 4.0]
    assert [metrics[f"weight/{seat}"] for seat in range(5)] == [0.0, 0.0, 1.0, 0.0, 0.0]


def test_krum_tells_near_agents_apart_whose_numbers_are_large(team: MakeTeam) -> None:
    """In float32 the distances of 4096 and 4097 are lost in their squares' rounding."""
    _, metrics = team("krum", seats=5, tolerate=1).play(*[(4096.0 + x, 1.0) for x in (0.0, 0.75, 1.0, 1.25, 5.0)])
    assert metrics["weight/2"] == 1.0


def test_multi_krum_is_the_mean_of_those_it_chose(team: MakeTeam) -> None:
    # The scores are those of krum above: 25, 5, 2, 5, 481. All but the worst count: (0 + 3 + 4 + 5) / 4
    sent = [(0.0, 1.0), (3.0, 1.0), (4.0, 1.0), (5.0, 1.0), (20.0, 99.0)]
    aggregate, metrics = team("multi-krum", seats=5, tolerate=1).play(*sent)
    assert aggregate is not None
    assert aggregate["fc1.bias"].tolist() == [3.0, 3.0]
    assert [metrics[f"weight/{seat}"] for seat in range(5)] == [0.25, 0.25, 0.25, 0.25, 0.0]


@pytest.mark.parametrize(
    ("select", "weights"),
    [(1, [0.0, 0.0, 1.0, 0.0, 0.0]), (3, [0.0, 1 / 3, 1 / 3, 1 / 3, 0.0]), (9, [0.2] * 5)],
)
def test_multi_krum_chooses_as_many_as_it_is_told(team: MakeTeam, select: int, weights: list[float]) -> None:
    five = team("multi-krum", seats=5, tolerate=1, strategy_settings=f"select={select}")
    _, metrics = five.play((0.0, 1.0), (3.0, 1.0), (4.0, 1.0), (5.0, 1.0), (20.0, 99.0))
    assert [metrics[f"weight/{seat}"] for seat in range(5)] == weights


def test_bulyan_worked_by_hand(team: MakeTeam) -> None:
    # Each has 7 - 1 - 2 = 4 nearest. Sums of their squared distances: 0.5: 57, 1: 46.25, 2: 32.25, 4: 34.25, 7: 86,
    # 11: 246, 100: more. The 7 - 2 = 5 best are 0.5 1 2 4 7. The 5 - 2 = 3 nearest to their median, 2, are 0.5 1 2.
    seven = team("bulyan", seats=7, tolerate=1)
    sent = [(value, 1.0) for value in (7.0, 0.5, 100.0, 1.0, 11.0, 2.0, 4.0)]
    aggregate, metrics = seven.play(*sent)
    assert aggregate is not None
    assert aggregate["fc1.bias"].tolist() == [float(np.float32(3.5 / 3.0))] * 2
    assert not any(name.startswith(("weight", "agents-effective")) for name in metrics)


def test_bulyan_of_too_few_agents_is_the_median(team: MakeTeam) -> None:
    aggregate, _ = team("bulyan", seats=5, tolerate=1).play(*[(value, 1.0) for value in (1.0, 2.0, 9.0, 1e30, 3.0)])
    assert aggregate is not None
    assert aggregate["fc1.bias"].tolist() == [3.0, 3.0]


@pytest.mark.parametrize(("strategy", "needed"), [("trimmed-mean", 3), ("krum", 5), ("multi-krum", 5), ("bulyan", 7)])
@pytest.mark.parametrize("seats", [1, 2, 3, 4])
def test_too_few_agents_cause_a_warning_and_the_round_continues(
    team: MakeTeam, caplog: pytest.LogCaptureFixture, strategy: str, needed: int, seats: int
) -> None:
    aggregate, _ = team(strategy, seats=seats, tolerate=1).play(*[(float(seat), 1.0) for seat in range(seats)])
    assert aggregate is not None
    assert 0.0 <= float(aggregate["fc1.bias"][0]) <= seats - 1
    warned = [message for message in caplog.messages if f"if at least {needed} take part; here are {seats}" in message]
    assert len(warned) == (seats < needed)


def test_none_keeps_everyones_own(team: MakeTeam) -> None:
    three = team("none")
    aggregate, metrics = three.play(*AGENTS)
    assert aggregate is None
    assert metrics == {
        "seats-replied": 3,
        "seats-rejected": 0,
        "seats-missing": 0,
        "reward/0": 2.0,
        "reward/1": 0.0,
        "reward/2": 6.0,
        # of 1, 2 and 5, whose mean is 8/3: (25 + 4 + 49) / 9 of 30
        **dict.fromkeys(["divergence", *(f"divergence/{name}" for name in NETWORK)], pytest.approx((78 / 270) ** 0.5)),
        "update-cosine": pytest.approx(1.0),
    }
    for (weights, _), own in zip(AGENTS, three.strategy.agents().values(), strict=True):
        assert all(tensor.tolist() == [weights] * 2 for tensor in own.values())


@pytest.mark.parametrize("mixer", [False, True], ids=["vdn", "qmix"])
class TestSharedTensors:
    @pytest.mark.parametrize("strategy", ["a-pps", "rs-pps", *ROBUST])
    def test_all(self, team: MakeTeam, strategy: str, mixer: bool) -> None:
        aggregate, _ = team(strategy, mixer=mixer).play(*AGENTS)
        assert aggregate is not None
        assert list(aggregate) == NETWORK + MIXER * mixer

    @pytest.mark.parametrize("personal_layers", range(9))
    def test_all_but_the_personal_ones(self, team: MakeTeam, personal_layers: int, mixer: bool) -> None:
        three = team("pp-pps", mixer=mixer, personal_layers=personal_layers)
        aggregate, _ = three.play(*AGENTS)
        assert list(aggregate or {}) == NETWORK[personal_layers:] + MIXER * mixer
        personal = NETWORK[:personal_layers]
        for (weights, _), own in zip(AGENTS, three.strategy.agents().values(), strict=True):
            for name, tensor in own.items():
                assert tensor.tolist() == [weights if name in personal else 4.0] * 2, name

    def test_the_order_in_which_tensors_arrive_means_nothing(self, team: MakeTeam, mixer: bool) -> None:
        strategy = team("pp-pps", mixer=mixer, personal_layers=3).strategy
        names = sorted(NETWORK + MIXER * mixer)
        assert strategy.shared(names) == [name for name in names if name not in NETWORK[:3]]

    def test_four_personal_layers_by_name(self, team: MakeTeam, mixer: bool) -> None:
        """The paper's Table 1, spelled out."""
        aggregate, _ = team("pp-pps", mixer=mixer, personal_layers=4).play(*AGENTS)
        assert aggregate is not None
        names = ["rnn.bias_ih", "rnn.bias_hh", "fc2.weight", "fc2.bias"]
        assert list(aggregate) == names + MIXER * mixer

    def test_none(self, team: MakeTeam, mixer: bool) -> None:
        assert team("none", mixer=mixer).play(*AGENTS)[0] is None


@pytest.mark.parametrize(
    ("strategy", "line"),
    [
        ("a-pps", f"shared: {', '.join([*NETWORK, 'mixer.*'])}; personal: none"),
        ("pp-pps", f"shared: {', '.join([*NETWORK[4:], 'mixer.*'])}; personal: {', '.join(NETWORK[:4])}"),
        ("none", f"shared: none; personal: {', '.join([*NETWORK, 'mixer.*'])}"),
    ],
)
def test_summary_before_the_first_round(
    team: MakeTeam, caplog: pytest.LogCaptureFixture, strategy: str, line: str
) -> None:
    with caplog.at_level(logging.INFO):
        team(strategy).strategy.summary()
    assert len(caplog.messages) == 2
    assert caplog.messages[1] == line


def test_summary_names_the_tensors_in_use(team: MakeTeam, caplog: pytest.LogCaptureFixture) -> None:
    two = team("pp-pps", seats=2, mixer=True, personal_layers=7)
    two.configure()
    with caplog.at_level(logging.INFO):
        two.strategy.summary()
    assert caplog.messages[1] == f"shared: {', '.join(['fc2.bias', *MIXER])}; personal: {', '.join(NETWORK[:7])}"


@pytest.mark.parametrize("strategy", ["a-pps", "rs-pps", "pp-pps", "none", *ROBUST])
def test_docstring_says_which_tensors_are_shared(team: MakeTeam, strategy: str) -> None:
    text = type(team(strategy).strategy).__doc__ or ""
    assert "Shares " in text
    names = [] if strategy == "none" else NETWORK
    assert all(name in text for name in names)
