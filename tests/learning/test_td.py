"""Temporal-difference arithmetic, worked by hand."""

import torch

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
    targets = td.td_targets(rewards, next_values, torch.tensor([2, 2]), torch.tensor([True, False]), gamma=0.5)
    assert targets.tolist() == [[6.0, 6.0], [2.0, 12.0]]


def test_the_end_is_at_the_battles_own_last_step() -> None:
    targets = td.td_targets(
        torch.ones(3, 2), torch.full((3, 2), 10.0), torch.tensor([3, 1]), torch.tensor([True, True]), gamma=1.0
    )
    assert targets[:, 0].tolist() == [11.0, 11.0, 1.0]
    assert targets[0, 1].item() == 1.0


def test_loss_counts_steps_not_padding() -> None:
    values = torch.tensor([[1.0, 0.0], [2.0, 100.0], [3.0, torch.inf]])
    targets = torch.tensor([[0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    mask = td.battle_mask(torch.tensor([3, 1]), 3)
    assert mask.tolist() == [[True, True], [True, False], [True, False]]
    assert td.td_loss(values, targets, mask).item() == (1 + 4 + 9 + 4) / 4
