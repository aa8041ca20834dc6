"""The arithmetic of temporal-difference learning, as pure functions over time-major arrays."""

import torch
from torch import Tensor


def chosen_values(q: Tensor, actions: Tensor) -> Tensor:
    """Values [T, B] of the actions taken (int64 [T, B]), out of q [T, B, a]."""
    return q.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def double_q_values(online: Tensor, target: Tensor, available: Tensor) -> Tensor:
    """Double Q-learning's value of the best next action (van Hasselt et al., AAAI 2016).

    The online network picks the best available action, the target network says what it is worth.

    Args:
        online: [T, B, a].
        target: [T, B, a].
        available: bool [T, B, a]; where nothing is available the value is that of action 0.

    Returns:
        [T, B].
    """
    return chosen_values(target, online.masked_fill(~available, -torch.inf).argmax(-1))


def td_targets(
    rewards: Tensor, next_values: Tensor, lengths: Tensor, terminated: Tensor, gamma: float, td_lambda: float
) -> Tensor:
    """``y_t = r_t + gamma ((1 - td_lambda) Q'_t + td_lambda y_{t+1})``, a battle's last ``y = r + gamma Q'``.

    That is Peng's Q(lambda) (Peng and Williams, 1994); with ``td_lambda`` 0 it is Q-learning's ``r + gamma Q'``.
    Only the last step of a terminated battle has no future: one cut by the time limit bootstraps from what the
    seat saw last.

    Args:
        rewards: [T, B].
        next_values: [T, B], Q' of the state after each step.
        lengths: int64 [B], in steps.
        terminated: bool [B].
        gamma: discount per step.
        td_lambda: weight of what came later over what is expected of the next state.

    Returns:
        [T, B]; zeros beyond a battle's length.
    """
    steps = torch.arange(len(rewards), device=rewards.device)
    last = steps.unsqueeze(1) == lengths - 1
    targets = rewards + gamma * next_values.masked_fill(last & terminated, 0.0)
    on = battle_mask(lengths, len(rewards))
    if td_lambda:
        # y_t = a_t + k y_{t+1} = a_t + k a_{t+1} + k^2 a_{t+2} + .. up to the last step: a product with k's powers.
        k = torch.full((), gamma * td_lambda, dtype=rewards.dtype, device=rewards.device)
        alone = targets - k * next_values.masked_fill(last, 0.0)
        ahead = steps - steps.unsqueeze(1)
        targets = (k ** ahead.clamp(min=0)).triu() @ torch.where(on, alone, 0.0)
    return torch.where(on, targets, 0.0)


def battle_mask(lengths: Tensor, steps: int) -> Tensor:
    """bool [T, B]: which of ``steps`` padded steps belong to a battle (lengths: int64 [B])."""
    return torch.arange(steps, device=lengths.device).unsqueeze(1) < lengths


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values [T, B] where the mask [T, B] is True, a scalar tensor; all steps weigh the same."""
    return torch.where(mask, values, 0.0).sum() / mask.sum()


def td_loss(values: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Masked mean of the squared TD error; all arguments [T, B]."""
    return masked_mean((values - targets).square(), mask)
