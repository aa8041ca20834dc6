"""TD errors, compiled and by PyTorch's operations."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning import td
from learning.batch import Batch
from learning.errors import td_errors
from tests.learning.toy import batch_of, random_battle


def test_by_hand() -> None:
    # Two battles: of two steps, which ends; of one, which the time limit cut.
    batch = Batch(
        inputs=torch.zeros(5, 1),
        available=torch.ones(5, 1, dtype=torch.bool),
        sizes=torch.tensor([2, 2, 1]),
        actions=torch.zeros(2, 2, dtype=torch.int64),
        rewards=torch.tensor([[1.0, 2.0], [4.0, 0.0]]),
        lengths=torch.tensor([2, 1]),
        terminated=torch.tensor([True, False]),
    )
    values, next_values = torch.tensor([[3.0, 5.0], [7.0, 0.0]]), torch.tensor([[8.0, 6.0], [9.0, 0.0]])
    found = td_errors(values, next_values, batch, 0.5, 0.25)
    # targets, from the end: 4; 1 + 0.5 (0.75 * 8 + 0.25 * 4) = 4.5; 2 + 0.5 * 6 = 5. Errors: 3, -1.5, 0 of three steps
    assert found.slopes.tolist() == [[-1.0, 0.0], [2.0, 0.0]]
    assert found[1:] == (11.25 / 3, 15.0 / 3, 4.5 / 3)


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    gamma=st.floats(0.0, 1.0),
    td_lambda=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 1000),
)
def test_they_are_those_of_the_targets(lengths: list[int], gamma: float, td_lambda: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    batch = batch_of(*(random_battle(rng, length) for length in lengths))
    batch = dataclasses.replace(batch, rewards=batch.rewards.double())
    on = td.battle_mask(batch.lengths, len(batch.actions))
    values, next_values = (torch.from_numpy(rng.standard_normal(tuple(on.shape))) * on for _ in range(2))
    leaf = values.clone().requires_grad_()
    targets = td.td_targets(batch.rewards, next_values, batch.lengths, batch.terminated, gamma, td_lambda)
    loss = td.td_loss(leaf, targets, on)
    (slopes,) = torch.autograd.grad(loss, leaf)
    found = td_errors(values, next_values, batch, gamma, td_lambda)
    torch.testing.assert_close(found.slopes, slopes)
    assert found.loss == pytest.approx(loss.item(), abs=1e-12)
    assert found.q_mean == pytest.approx(td.masked_mean(values, on).item(), abs=1e-12)
    assert found.td_error_abs == pytest.approx(td.masked_mean((values - targets).abs(), on).item(), abs=1e-12)
