"""Learners that take their steps together learn what they learn alone."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from learning.batch import Batch
from learning.learner import Learner
from learning.network import AgentNetwork, RunOnDevice
from learning.settings import Base, LearningSettings, SeatSpec
from learning.stacked import StackedBatch, take_together, train_stacked
from tests.learning.toy import SPEC, batch_of, owed, random_battle, settings

BASES: list[Base] = ["vdn", "qmix"]


class Library:
    """What an agent network does on a device."""

    def run(self: AgentNetwork, inputs: Tensor, sizes: Tensor) -> RunOnDevice:  # type: ignore[misc]
        return RunOnDevice(self, inputs, sizes)

    def values(self: AgentNetwork, inputs: Tensor, sizes: Tensor) -> Tensor:  # type: ignore[misc]
        return RunOnDevice(self, inputs, sizes).values


@pytest.fixture(autouse=True)
def double_precision(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Learners in float64, alone with PyTorch's operations as on CUDA."""
    for name in ("run", "values"):
        monkeypatch.setattr(AgentNetwork, name, getattr(Library, name))
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def seat(number: int) -> SeatSpec:
    return dataclasses.replace(SPEC, n_agents=4, seat=number)


def team(count: int, told: LearningSettings) -> list[Learner]:
    return [Learner(seat(number), told, seed=number) for number in range(count)]


def batch(rng: np.random.Generator, longest: int = 6, reward: float = 1.0) -> Batch:
    """Four battles of random lengths."""
    spec = seat(0)
    drawn = batch_of(*(random_battle(rng, int(rng.integers(1, longest + 1)), spec) for _ in range(4)), spec=spec)
    return dataclasses.replace(drawn, inputs=drawn.inputs.double(), rewards=reward * drawn.rewards.double())


def assert_same(some: Sequence[Learner], others: Sequence[Learner]) -> None:
    for one, other in zip(some, others, strict=True):
        (tensors, counters), (expected, expected_counters) = one.state(), other.state()
        assert counters == expected_counters
        torch.testing.assert_close(tensors, expected, rtol=1e-9, atol=1e-9)


def train_both(
    stacked: Sequence[Learner], alone: Sequence[Learner], batches: Sequence[Batch]
) -> list[dict[str, float]]:
    """Let learners take a step together, their likes one by one; return the metrics, which are the same."""
    steps = [owed(*each) for each in zip(stacked, batches, strict=True)]
    found = [taken.metrics for taken in take_together(steps)]
    expected = [learner.train(batch) for learner, batch in zip(alone, batches, strict=True)]
    for one, other in zip(found, expected, strict=True):
        assert dataclasses.asdict(one) == pytest.approx(dataclasses.asdict(other), rel=1e-9, abs=1e-9)
    return [dataclasses.asdict(each) for each in found]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("td_lambda", [0.0, 0.6])
def test_steps_taken_together_are_those_taken_alone(base: Base, td_lambda: float) -> None:
    told = settings(base=base, td_lambda=td_lambda, target_update_every=3)
    rng = np.random.default_rng(0)
    stacked, alone = team(3, told), team(3, told)
    for _ in range(8):  # the targets follow twice
        train_both(stacked, alone, [batch(rng, longest) for longest in (2, 6, 4)])
    assert_same(stacked, alone)


@pytest.mark.parametrize("base", BASES)
def test_each_learner_clips_by_its_own_norm(base: Base) -> None:
    told = settings(base=base, grad_clip=1.0)
    rng = np.random.default_rng(1)
    stacked, alone = team(2, told), team(2, told)
    for _ in range(3):
        norms = [m["grad_norm"] for m in train_both(stacked, alone, [batch(rng, reward=r) for r in (0.01, 100.0)])]
        assert norms[0] < 1.0 < norms[1]
    assert_same(stacked, alone)


@property_settings(max_examples=10, deadline=None)
@given(
    subsets=st.lists(st.sets(st.integers(0, 2)), min_size=1, max_size=6),
    rates=st.lists(st.sampled_from([1e-2, 1e-3]), min_size=3, max_size=3),
    base=st.sampled_from(BASES),
)
def test_any_of_them_take_a_step_together(subsets: list[set[int]], rates: list[float], base: Base) -> None:
    told = settings(base=base)
    rng = np.random.default_rng(2)
    stacked, alone = team(3, told), team(3, told)
    for learners in (stacked, alone):
        for learner, rate in zip(learners, rates, strict=True):
            learner.set_learning_rate(rate)
    for subset in subsets:
        batches = [batch(rng, 3 + number) for number in sorted(subset)]
        train_both([stacked[n] for n in sorted(subset)], [alone[n] for n in sorted(subset)], batches)
    assert_same(stacked, alone)


def test_learners_of_other_settings_or_sizes_take_their_steps_beside_one_another() -> None:
    def learners() -> list[Learner]:
        return [
            Learner(seat(0), settings(), seed=0),
            Learner(seat(1), settings(gamma=0.9), seed=0),
            Learner(seat(2), settings(hidden=8), seed=0),
            Learner(seat(3), settings(), seed=0),
        ]

    rng = np.random.default_rng(3)
    stacked, alone = learners(), learners()
    train_both(stacked, alone, [batch(rng) for _ in range(4)])
    assert_same(stacked, alone)


@pytest.mark.parametrize("base", BASES)
def test_a_state_of_either_way_is_continued_in_the_other(base: Base) -> None:
    told = settings(base=base)
    rng = np.random.default_rng(4)
    stacked, alone = team(2, told), team(2, told)
    train_both(stacked, alone, [batch(rng) for _ in range(2)])
    for learner in (*stacked, *alone):
        learner.restore(*learner.state())
    stacked, alone = alone, stacked
    for _ in range(3):
        train_both(stacked, alone, [batch(rng) for _ in range(2)])
    assert_same(stacked, alone)


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Takes down the operations that compute something; views do not."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if not func.is_view:
            self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def operations(count: int, base: Base, steps: int) -> list[str]:
    """Return what a stacked step of so many learners starts; every battle has so many time steps."""
    told = settings(base=base, td_lambda=0.6)
    learners = team(count, told)
    rng, spec = np.random.default_rng(5), seat(0)
    drawn = batch_of(*(random_battle(rng, steps, spec) for _ in range(4)), spec=spec)
    drawn = dataclasses.replace(drawn, inputs=drawn.inputs.double(), rewards=drawn.rewards.double())
    stacked = StackedBatch.of([drawn] * count)
    seen = Operations()
    with seen:
        train_stacked(learners, stacked)
    return seen.names


@pytest.mark.parametrize("base", BASES)
def test_a_step_starts_the_same_operations_for_four_learners_as_for_one(base: Base) -> None:
    assert operations(4, base, 3) == operations(1, base, 3)


@pytest.mark.parametrize("base", BASES)
def test_a_time_step_more_starts_eight_operations_more(base: Base) -> None:
    assert len(operations(4, base, 4)) - len(operations(4, base, 3)) == 8


@pytest.mark.parametrize("base", BASES)
def test_no_operation_waits_for_a_result_on_the_host(base: Base) -> None:
    waiting = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal"}
    assert waiting.isdisjoint(operations(2, base, 3))
