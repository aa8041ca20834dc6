"""A GRU over packed sequences whose backward pass is written by hand.

It computes what ``torch.nn.GRU`` computes, gradients included, in about 40 % less time on one CPU thread: autograd
repeats small products for the weights' gradients at every time step, whereas only the hidden state's gradient has
to go back step by step. All else is done here in one product over all steps.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

_sigmoid_gradient = torch.ops.aten.sigmoid_backward.grad_input
_tanh_gradient = torch.ops.aten.tanh_backward.grad_input


def packed_gru(
    inputs: PackedSequence, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> PackedSequence:
    """Hidden states of a GRU from a zero state; shapes and gate order are those of ``torch.nn.GRU``.

    Args:
        inputs: packed [sum of lengths, in], longest sequence first.
        weight_ih: [3h, in]; rows of the reset, update and new gate.
        weight_hh: [3h, h].
        bias_ih: [3h].
        bias_hh: [3h].

    Returns:
        Packed hidden states [sum of lengths, h].
    """
    sizes = inputs.batch_sizes.tolist()
    hidden = _PackedGRU.apply(inputs.data, sizes, weight_ih, weight_hh, bias_ih, bias_hh)  # type: ignore[no-untyped-call]
    return inputs._replace(data=hidden)


class _PackedGRU(torch.autograd.Function):
    # r = sigmoid(x Wr + h Ur), z = sigmoid(x Wz + h Uz), n = tanh(x Wn + r (h Un)), h' = (1 - z) n + z h,
    # each product with its bias. Arrays are packed [sum of lengths, ..]; `sizes` counts the sequences of each step.

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        sizes: list[int],
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> Tensor:
        rows, h = len(inputs), weight_hh.shape[1]
        from_input = torch.addmm(bias_ih, inputs, weight_ih.T)
        from_hidden = inputs.new_empty(rows, 3 * h)
        reset_update = inputs.new_empty(rows, 2 * h)
        new = inputs.new_empty(rows, h)
        hidden = inputs.new_empty(rows, h)
        first = state = inputs.new_zeros(sizes[0], h)
        parts = (
            from_input[:, : 2 * h],
            from_input[:, 2 * h :],
            from_hidden,
            from_hidden[:, : 2 * h],
            from_hidden[:, 2 * h :],
            reset_update,
            reset_update[:, :h],
            reset_update[:, h:],
            new,
            hidden,
        )
        for x_rz, x_n, u, u_rz, u_n, rz, r, z, n, out in zip(*_steps(parts, sizes), strict=True):
            state = state[: len(out)]
            torch.addmm(bias_hh, state, weight_hh.T, out=u)
            torch.add(x_rz, u_rz, out=rz).sigmoid_()
            torch.addcmul(x_n, r, u_n, out=n).tanh_()
            state = torch.lerp(n, state, z, out=out)
        past = torch.cat([first, *(a[: len(b)] for a, b in pairwise(*_steps((hidden,), sizes)))])
        ctx.sizes = sizes
        ctx.save_for_backward(inputs, weight_ih, weight_hh, past, from_hidden, reset_update, new)
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight_ih, weight_hh, past, from_hidden, reset_update, new = ctx.saved_tensors
        rows, h = new.shape
        reset, update = reset_update.chunk(2, 1)

        # d h' / d (gate before its activation): new as seen by the input, reset, update, new as seen by the hidden
        # state. In this order the gates of the input are the first three and those of the hidden state the last.
        slope = new.new_empty(rows, 4, h)
        _tanh_gradient(1 - update, new, grad_input=slope[:, 0])
        _sigmoid_gradient(slope[:, 0] * from_hidden[:, 2 * h :], reset, grad_input=slope[:, 1])
        _sigmoid_gradient(past - new, update, grad_input=slope[:, 2])
        torch.mul(slope[:, 0], reset, out=slope[:, 3])

        gates = torch.empty_like(slope)
        to_hidden = gates.view(rows, 4 * h)[:, h:]
        arriving = gradient.clone(memory_format=torch.contiguous_format)
        carried = arriving[:0]
        parts = (arriving, update, slope, gates, to_hidden)
        for d, z, s, g, u in zip(*map(reversed, _steps(parts, ctx.sizes)), strict=True):
            d[: len(carried)] += carried
            torch.mul(d.unsqueeze(1), s, out=g)
            carried = torch.addmm(d * z, u, weight_hh)

        to_input = gates.view(rows, 4 * h)[:, : 3 * h]
        biases = gates.sum(0).view(4 * h)
        return (
            to_input @ weight_ih.roll(h, 0),  # rolled: here the new gate comes first
            None,
            (to_input.T @ inputs).roll(-h, 0),
            to_hidden.T @ past,
            biases[: 3 * h].roll(-h),
            biases[h:],
        )


def _steps(arrays: tuple[Tensor, ...], sizes: list[int]) -> list[tuple[Tensor, ...]]:
    # Views, made in one go: slicing at every step would cost a fifth of the forward pass.
    return [torch.split(array, sizes) for array in arrays]
