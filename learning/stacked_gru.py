"""Several GRUs of one shape, each over its own sequences: in one loop over time, with products batched over them.

It computes what ``torch.nn.GRU`` computes for each of them, gradients included. A step of the loop is five operations
forward and three backward, however many GRUs there are; all else is done for all steps at once. On a GPU their number
is what counts for small networks. None of them waits for a result on the host.
"""

from typing import Any

import torch
from torch import Tensor


def stacked_gru(inputs: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor) -> Tensor:
    """Hidden states of K GRUs from zero states; weights and gate order are those of ``torch.nn.GRU``.

    Sequences that end earlier are padded at their end: no state depends on what comes after it.

    Args:
        inputs: [K, T, B, in].
        weight_ih: [K, 3h, in]; rows of the reset, update and new gate.
        weight_hh: [K, 3h, h].
        bias_ih: [K, 3h].
        bias_hh: [K, 3h].

    Returns:
        Hidden states [K, T, B, h].
    """
    hidden: Tensor = _StackedGRU.apply(inputs, weight_ih, weight_hh, bias_ih, bias_hh)  # type: ignore[no-untyped-call]
    return hidden


class _StackedGRU(torch.autograd.Function):
    # Formulas and gates are those of learning/gru.py: [n of the input | r | z | n of the hidden state].

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
    ) -> Tensor:
        k, steps, n, _ = inputs.shape
        h = weight_hh.shape[-1]
        rows = inputs.flatten(1, 2)
        bias = torch.cat([bias_ih.roll(h, -1), bias_hh[:, 2 * h :]], -1)
        bias[:, h : 3 * h] += bias_hh[:, : 2 * h]
        gates = bias[:, None, None].repeat(1, steps, n, 1)
        gates.flatten(1, 2)[..., : 3 * h].baddbmm_(rows, weight_ih.roll(h, 1).mT)
        states = inputs.new_zeros(k, steps + 1, n, h)  # before each step, and after the last
        to_gates = weight_hh.mT
        for t in range(steps):
            now, past = gates[:, t], states[:, t]
            new, reset, update, u_new = now.chunk(4, -1)
            now[..., h:].baddbmm_(past, to_gates)
            now[..., h : 3 * h].sigmoid_()
            new.addcmul_(reset, u_new).tanh_()
            torch.lerp(new, past, update, out=states[:, t + 1])
        ctx.save_for_backward(rows, weight_ih, weight_hh, gates, states)
        return states[:, 1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        rows, weight_ih, weight_hh, gates, states = ctx.saved_tensors
        steps, h = gradient.shape[1], weight_hh.shape[-1]
        new, reset, update, u_new = gates.chunk(4, -1)
        past = states[:, :-1]
        # Of the gates before their activations: first in parts of the gradient of their step's hidden state.
        of_new = (1 - update) * (1 - new.square())
        slopes = torch.cat(
            [of_new, of_new * u_new * reset * (1 - reset), (past - new) * update * (1 - update), of_new * reset], -1
        )
        by_gate = slopes.view(*gradient.shape[:3], 4, h)
        arriving = gradient[:, -1]
        for t in range(steps - 1, -1, -1):
            by_gate[:, t].mul_(arriving.unsqueeze(-2))
            if t:
                arriving = torch.addcmul(gradient[:, t - 1], arriving, update[:, t])
                arriving.baddbmm_(slopes[:, t, :, h:], weight_hh)
        slopes = slopes.flatten(1, 2)
        to_input, to_hidden = slopes[..., : 3 * h], slopes[..., h:]
        biases = slopes.sum(1)
        return (
            torch.bmm(to_input, weight_ih.roll(h, 1)).view(
                *gradient.shape[:3], -1
            ),  # rolled: here the new gate comes first
            torch.bmm(to_input.mT, rows).roll(-h, 1),
            torch.bmm(to_hidden.mT, past.flatten(1, 2)),
            biases[:, : 3 * h].roll(-h, -1),
            biases[:, h:],
        )
