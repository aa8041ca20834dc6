"""Flower's server optimizers over the shared tensors: worked by hand, as Flower has them, and resumed bit for bit."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedYogi

from strategies.aggregate import StrategyFaultError
from strategies.server_optimizer import SERVER_OPTIMIZERS, ServerOptimizer
from tests.strategies.conftest import NETWORK, Team, record, tensors

MakeTeam = Callable[..., Team]

FLOWERS: dict[str, Callable[[], Any]] = {
    "fedadam": lambda: FedAdam(fraction_train=0.0, eta=0.05, beta_1=0.8),
    "fedyogi": lambda: FedYogi(fraction_train=0.0, eta=0.05, beta_1=0.8),
    "fedadagrad": lambda: FedAdagrad(fraction_train=0.0, eta=0.05),
    "fedavgm": lambda: FedAvgM(fraction_train=0.0, server_learning_rate=0.05, server_momentum=0.8),
}


def averages(rounds: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(7)
    return [{"a": rng.standard_normal((2, 3)), "b": rng.standard_normal(4)} for _ in range(rounds)]


def as_float32(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def test_all_of_flower_s_server_optimizers_are_there() -> None:
    assert set(SERVER_OPTIMIZERS) == set(FLOWERS)


@pytest.mark.parametrize("name", SERVER_OPTIMIZERS)
def test_steps_are_those_of_flower_s_strategy_over_several_rounds(name: str) -> None:
    """Flower's own object keeps its state by itself; in round 3 the bias correction is that of round 3."""
    ours, flower = ServerOptimizer(name, 0.05, 0.8), FLOWERS[name]()
    current = as_float32({"a": np.zeros((2, 3)), "b": np.ones(4)})
    theirs = record({key: value.astype(np.float64) for key, value in current.items()})
    for round_, average in enumerate(map(as_float32, averages(4)), 1):
        current = ours.step(round_, current, average)
        assert flower.configure_train(round_, theirs, ConfigRecord(), cast(Grid, None)) == []
        arrays = ArrayRecord({key: Array(value.astype(np.float64)) for key, value in average.items()})
        content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})})
        stepped, _ = cast(FedAvg, flower).aggregate_train(round_, [Message(content, 1, MessageType.TRAIN)])
        assert stepped is not None
        theirs = stepped
        for key, value in tensors(theirs).items():
            assert current[key].dtype == np.float32
            np.testing.assert_allclose(current[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SERVER_OPTIMIZERS)
def test_a_resumed_optimizer_makes_the_steps_of_one_that_was_never_stopped(name: str) -> None:
    whole, cut = ServerOptimizer(name, 0.1, 0.9), ServerOptimizer(name, 0.1, 0.9)
    before = as_float32({"a": np.zeros((2, 3)), "b": np.ones(4)})
    rounds = list(map(as_float32, averages(6)))
    one = two = before
    for round_, average in enumerate(rounds, 1):
        one = whole.step(round_, one, average)
        resumed = ServerOptimizer(name, 0.1, 0.9)
        resumed.restore(cut.state())
        cut = resumed
        two = cut.step(round_, two, average)
        assert {key: value.tobytes() for key, value in one.items()} == {k: v.tobytes() for k, v in two.items()}


def test_the_state_of_another_optimizer_is_refused() -> None:
    adam = ServerOptimizer("fedadam", 0.1, 0.9)
    adam.step(1, {"a": np.zeros(2, np.float32)}, {"a": np.ones(2, np.float32)})
    with pytest.raises(ValueError, match=r"another server optimizer's state: m_t/a, v_t/a"):
        ServerOptimizer("fedavgm", 0.1, 0.9).restore(adam.state())


def test_momentum_worked_by_hand(team: MakeTeam) -> None:
    # rs-pps: (1 * 2 + 3 * 6) / 4 = 5 of the agents. u = -5, w = 0 + 0.5 * 5 = 2.5;
    # then 4.5 from 2.5: u = 0.5 * -5 - 2 = -4.5, w = 2.5 + 0.5 * 4.5 = 4.75
    two = team("rs-pps", seats=2, server_optimizer="fedavgm", server_learning_rate=0.5, server_momentum=0.5)
    first, metrics = two.play((2.0, 1.0), (6.0, 3.0))
    assert first is not None
    assert first["fc1.bias"].tolist() == [2.5, 2.5]
    assert [metrics["weight/0"], metrics["weight/1"]] == [0.25, 0.75]  # of the average that the step is made of
    second, _ = two.play((3.0, 1.0), (5.0, 3.0))
    assert second is not None
    assert second["fc1.bias"].tolist() == [4.75, 4.75]


def test_adam_worked_by_hand(team: MakeTeam) -> None:
    # delta = 4: m = 0.1 * 4, v = 0.01 * 16, c = sqrt(1 - 0.99^2) / (1 - 0.9^2)
    one = team("a-pps", seats=1, server_optimizer="fedadam", server_learning_rate=0.5, server_momentum=0.9)
    aggregate, _ = one.play((4.0, 1.0))
    expected = 0.5 * np.sqrt(1 - 0.99**2) / (1 - 0.9**2) * 0.4 / (0.4 + 0.001)
    assert aggregate is not None
    assert aggregate["fc1.bias"][0] == pytest.approx(expected, rel=1e-6)


def test_personal_tensors_stay_as_they_are(team: MakeTeam) -> None:
    two = team("pp-pps", seats=2, server_optimizer="fedyogi")
    aggregate, _ = two.play((2.0, 1.0), (6.0, 1.0))
    assert list(aggregate or {}) == NETWORK[4:]
    assert two.strategy.agents()[1]["fc1.weight"].tolist() == [6.0, 6.0]


@pytest.mark.parametrize("strategy", ["a-pps", "rs-pps", "pp-pps"])
@pytest.mark.parametrize("optimizer", SERVER_OPTIMIZERS)
def test_a_resumed_strategy_continues_bit_for_bit(team: MakeTeam, strategy: str, optimizer: str) -> None:
    rounds = [((0.1, 3.0), (0.7, 5.0)), ((0.3, 1.0), (0.2, 9.0)), ((0.9, 2.0), (0.4, 4.0))]
    whole = team(strategy, seats=2, adopt=0.3, server_optimizer=optimizer)
    for each in rounds:
        resumed = team(strategy, seats=2, adopt=0.3, server_optimizer=optimizer)
        if whole.round:
            resumed.strategy.restore(whole.strategy.agents(), whole.strategy.whole_state())
        resumed.round = whole.round
        whole.play(*each)
        resumed.play(*each)
        for seat, own in whole.strategy.agents().items():
            assert record(own) == record(resumed.strategy.agents()[seat])


def test_a_step_beyond_float32_names_the_optimizer_and_the_tensor(team: MakeTeam) -> None:
    one = team("a-pps", seats=1, server_optimizer="fedavgm", server_learning_rate=1e9)
    with pytest.raises(
        StrategyFaultError, match=r"the server optimizer fedavgm returned tensor fc1\.weight with infinity"
    ):
        one.play((1e38, 1.0))
