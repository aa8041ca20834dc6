"""A GRU over packed sequences whose loops over time are compiled and whose backward pass is written by hand.

It computes what ``torch.nn.GRU`` computes, gradients included. Only the hidden state goes from step to step, and only
its gradient goes back: all else is done for all steps in one product. What goes step by step has few rows, so a call of
PyTorch would cost more than its arithmetic. Compiled loops also let threads learn side by side: each of PyTorch's
operations takes Python's lock.
"""

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from operations.compiled import entry, part

_fused = functools.partial(part, fastmath={"contract"})  # a product and a sum are one instruction
_fused_entry = functools.partial(entry, fastmath={"contract"})
_Array = NDArray[Any]
_Four = tuple[Any, Any, Any, Any]

# Constants are float32: with a float64 they are float64, whereas Python's numbers would make all float64.
_f32 = np.float32
_ZERO, _HALF, _ONE = _f32(0), _f32(0.5), _f32(1)
_SATURATED = _f32(20)  # from here on tanh is 1, in float64 too


def packed_gru(
    inputs: Tensor, sizes: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """Hidden states of a GRU from a zero state; weights and gate order are those of ``torch.nn.GRU``.

    Args:
        inputs: packed [rows, in], longest sequence first, on the CPU.
        sizes: int64 [T], on the CPU: sequences that have a row of each step (``Packing.sizes``).
        weight_ih: [3h, in]; rows of the reset, update and new gate.
        weight_hh: [3h, h].
        bias_ih: [3h].
        bias_hh: [3h].

    Returns:
        Packed hidden states [rows, h].
    """
    hidden: Tensor = _PackedGRU.apply(inputs, sizes, weight_ih, weight_hh, bias_ih, bias_hh)  # type: ignore[no-untyped-call]
    return hidden


class _PackedGRU(torch.autograd.Function):
    # r = sigmoid(x Wr + h Ur), z = sigmoid(x Wz + h Uz), n = tanh(x Wn + r (h Un)), h' = (1 - z) n + z h,
    # each product with its bias. Arrays are packed [sum of lengths, ..]; `sizes` counts the sequences of each step.
    # Gates stand side by side as [n of the input | r | z | n of the hidden state]: those of the input are the first
    # three, those of the hidden state the last three.

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        sizes: Tensor,
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
        past, hidden = inputs.new_empty(rows, h), inputs.new_empty(rows, h)
        _forward(sizes.numpy(), weight_hh.T.contiguous().numpy(), gates.numpy(), past.numpy(), hidden.numpy())
        ctx.save_for_backward(inputs, sizes, weight_ih, weight_hh, past, gates)
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, sizes, weight_ih, weight_hh, past, gates = ctx.saved_tensors
        h = weight_hh.shape[1]
        arriving = gradient.clone(memory_format=torch.contiguous_format)
        slopes = torch.empty_like(gates)
        _backward(sizes.numpy(), weight_hh.numpy(), gates.numpy(), past.numpy(), arriving.numpy(), slopes.numpy())
        to_input, to_hidden = slopes[:, : 3 * h], slopes[:, h:]
        biases = slopes.sum(0)
        return (
            to_input @ weight_ih.roll(h, 0),  # rolled: here the new gate comes first
            None,
            (to_input.T @ inputs).roll(-h, 0),
            to_hidden.T @ past,
            biases[: 3 * h].roll(-h),
            biases[h:],
        )


@_fused_entry
def _forward(sizes: _Array, to_gates: _Array, gates: _Array, past: _Array, hidden: _Array) -> None:
    """Finish the gates [rows, 4h]; fill in the states before (past) and after each step, [rows, h]."""
    row = before = 0
    for n in sizes:
        for i in range(row, row + n):
            for j in range(past.shape[1]):
                past[i, j] = hidden[i - before, j] if row else _ZERO
        _add_product(gates, (row, past.shape[1]), past, (row, 0), to_gates, n)
        for i in range(row, row + n):
            _activate(gates[i], past[i], hidden[i])
        row, before = row + n, n


@_fused
def _activate(gates: _Array, past: _Array, hidden: _Array) -> None:
    new, reset, update, u_new = _parts(gates, len(past))
    for j in range(len(past)):
        reset[j] = _sigmoid(reset[j])
        update[j] = _sigmoid(update[j])
        new[j] = _tanh(new[j] + reset[j] * u_new[j])
        hidden[j] = new[j] + update[j] * (past[j] - new[j])


@_fused_entry
def _backward(sizes: _Array, weight_hh: _Array, gates: _Array, past: _Array, arriving: _Array, slopes: _Array) -> None:
    """Fill in the gradients of the gates before their activations, slopes [rows, 4h], last step first.

    ``arriving`` [rows, h] holds the hidden states' gradients from outside; those from later steps are added to it.
    """
    h = past.shape[1]
    row = len(past)
    for step in range(len(sizes) - 1, -1, -1):
        n, before = sizes[step], sizes[step - 1]
        row -= n
        for i in range(row, row + n):
            _differentiate(gates[i], past[i], arriving[i], slopes[i])
        if step:
            for i in range(row, row + n):
                _carry(gates[i, 2 * h : 3 * h], arriving[i], arriving[i - before])
            _add_product(arriving, (row - before, 0), slopes, (row, h), weight_hh, n)


@_fused
def _differentiate(gates: _Array, past: _Array, arriving: _Array, slopes: _Array) -> None:
    new, reset, update, u_new = _parts(gates, len(past))
    to_new, to_reset, to_update, to_u_new = _parts(slopes, len(past))
    for j in range(len(past)):
        slope = arriving[j] * (_ONE - update[j]) * (_ONE - new[j] * new[j])
        to_new[j] = slope
        to_reset[j] = slope * u_new[j] * reset[j] * (_ONE - reset[j])
        to_update[j] = arriving[j] * (past[j] - new[j]) * update[j] * (_ONE - update[j])
        to_u_new[j] = slope * reset[j]


@_fused
def _carry(update: _Array, arriving: _Array, earlier: _Array) -> None:
    for j in range(len(update)):
        earlier[j] += arriving[j] * update[j]


@_fused
def _parts(gates: _Array, h: int) -> tuple[_Array, _Array, _Array, _Array]:
    return gates[:h], gates[h : 2 * h], gates[2 * h : 3 * h], gates[3 * h :]


@_fused
def _add_product(
    out: _Array, out_at: tuple[int, int], left: _Array, left_at: tuple[int, int], right: _Array, n: int
) -> None:
    """Add to out [n, m] the product of left [n, k] and right [k, m]; out and left begin at a row and column.

    Four rows and four terms are taken at once, so that what is loaded is used four times. What the innermost loops
    run over are one-dimensional: only of such slices does numba know that they have no gaps.
    """
    (k, m), (out_row, out_column), (left_row, left_column) = right.shape, out_at, left_at
    rows, terms = n - n % 4, k - k % 4
    for i in range(0, rows, 4):
        o0, o1 = out[out_row + i, out_column:], out[out_row + i + 1, out_column:]
        o2, o3 = out[out_row + i + 2, out_column:], out[out_row + i + 3, out_column:]
        for q in range(0, terms, 4):
            w0 = _four(left[left_row + i], left_column + q)
            w1 = _four(left[left_row + i + 1], left_column + q)
            w2 = _four(left[left_row + i + 2], left_column + q)
            w3 = _four(left[left_row + i + 3], left_column + q)
            r0, r1, r2, r3 = right[q], right[q + 1], right[q + 2], right[q + 3]
            for j in range(m):
                x = r0[j], r1[j], r2[j], r3[j]
                o0[j] = _plus_four(o0[j], w0, x)
                o1[j] = _plus_four(o1[j], w1, x)
                o2[j] = _plus_four(o2[j], w2, x)
                o3[j] = _plus_four(o3[j], w3, x)
    for i in range(rows, n):
        o0 = out[out_row + i, out_column:]
        for q in range(0, terms, 4):
            w0 = _four(left[left_row + i], left_column + q)
            r0, r1, r2, r3 = right[q], right[q + 1], right[q + 2], right[q + 3]
            for j in range(m):
                o0[j] = _plus_four(o0[j], w0, (r0[j], r1[j], r2[j], r3[j]))
    for i in range(n):
        o0 = out[out_row + i, out_column:]
        for q in range(terms, k):
            for j in range(m):
                o0[j] += left[left_row + i, left_column + q] * right[q, j]


@_fused
def _four(row: _Array, j: int) -> _Four:
    return row[j], row[j + 1], row[j + 2], row[j + 3]


@_fused
def _plus_four(total: Any, w: _Four, x: _Four) -> Any:
    return total + w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3]


@_fused
def _sigmoid(x: Any) -> Any:
    return _HALF + _HALF * _tanh(_HALF * x)


@_fused
def _tanh(x: Any) -> Any:
    """tanh to the last bits, in arithmetic that the compiler vectorises, as it does not the C library's.

    Lambert's continued fraction to its seventh term at a quarter of x, then tanh 2u = 2 tanh u / (1 + tanh^2 u), twice.
    """
    u = min(max(x, -_SATURATED), _SATURATED) * _HALF * _HALF
    s = u * u
    above = _f32(135135) + s * (_f32(17325) + s * (_f32(378) + s))
    below = _f32(135135) + s * (_f32(62370) + s * (_f32(3150) + s * _f32(28)))
    t = u * above / below
    t = (t + t) / (_ONE + t * t)
    return (t + t) / (_ONE + t * t)
