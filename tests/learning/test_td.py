"""Temporal-difference arithmetic, worked by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning import td


def test_chosen_values() -> None:
    q = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    assert td.chosen_values(q, torch.tensor([[1, 0]])).tolist() == [[2.0, 3.0]]


def test_the_online_network_picks_and_the_target_network_values() -> None:
    online = torch.tensor([[[1.0, 5.0, 3.0]]])
    target = torch.tensor([[[10.0, 20.0, 30.0]]])
    everything = torch.tensor([[[True, True, True]]])
    assert td.double_q_values(online, target, everything).item() == 20.0


def test_unavailable_actions_are_not_picked() -> None:
    online = torch.tensor([[[-1.0, 5.0, -3.0]]])
    target = torch.tensor([[[10.0, 20.0, 30.0]]])
    assert td.double_q_values(online, target, torch.tensor([[[True, False, True]]])).item() == 10.0


def test_terminated_battles_have_no_future_and_truncated_ones_do() -> None:
    rewards = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    next_values = torch.tensor([[10.0, 10.0], [20.0, 20.0]])
    found = td.td_targets(rewards, next_values, torch.tensor([2, 2]), torch.tensor([True, False]), 0.5, 0.0)
    assert found.tolist() == [[6.0, 6.0], [2.0, 12.0]]


def test_the_end_is_at_the_battles_own_last_step() -> None:
    found = td.td_targets(
        torch.ones(3, 2), torch.full((3, 2), 10.0), torch.tensor([3, 1]), torch.tensor([True, True]), 1.0, 0.0
    )
    assert found[:, 0].tolist() == [11.0, 11.0, 1.0]
    assert found[:, 1].tolist() == [1.0, 0.0, 0.0]  # zeros beyond it


def test_with_a_lambda_what_came_later_is_weighed_against_what_is_expected() -> None:
    rewards = torch.tensor([[1.0, 1.0], [2.0, 2.0], [4.0, 100.0]])
    next_values = torch.tensor([[10.0, 10.0], [20.0, 20.0], [30.0, 100.0]])
    found = td.td_targets(rewards, next_values, torch.tensor([3, 2]), torch.tensor([True, False]), 0.5, 0.25)
    # from the back: 4; 2 + 0.5 (0.75 * 20 + 0.25 * 4); 1 + 0.5 (0.75 * 10 + 0.25 * 10)
    assert found[:, 0].tolist() == [6.0, 10.0, 4.0]
    # 2 + 0.5 * 20, cut by the time limit; 1 + 0.5 (0.75 * 10 + 0.25 * 12)
    assert found[:2, 1].tolist() == [6.25, 12.0]


@given(gamma=st.floats(0.0, 1.0), length=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_a_lambda_of_one_sums_up_the_battle(gamma: float, length: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rewards = torch.rand(8, 1, generator=generator, dtype=torch.float64)
    next_values = torch.rand(8, 1, generator=generator, dtype=torch.float64)
    found = td.td_targets(rewards, next_values, torch.tensor([length]), torch.tensor([True]), gamma, 1.0)
    returns = [sum(gamma**i * float(r) for i, r in enumerate(rewards[step:length])) for step in range(length)]
    assert found[:length, 0].tolist() == pytest.approx(returns)


def test_loss_counts_steps_not_padding() -> None:
    values = torch.tensor([[1.0, 0.0], [2.0, 100.0], [3.0, torch.inf]])
    targets = torch.tensor([[0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    mask = td.battle_mask(torch.tensor([3, 1]), 3)
    assert mask.tolist() == [[True, True], [True, False], [True, False]]
    assert td.td_loss(values, targets, mask).item() == (1 + 4 + 9 + 4) / 4
