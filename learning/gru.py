"""A GRU's cell, forward and backward, as compiled loops over its units. The gates are those of ``torch.nn.GRU``.

r = sigmoid(x Wr + h Ur), z = sigmoid(x Wz + h Uz), n = tanh(x Wn + r (h Un)), h' = (1 - z) n + z h, each product with
its bias. Arrays of a row's gates hold r, z and n, [3h].
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.products import fused

_Array = NDArray[Any]

# Constants are float32: with a float64 they are float64, whereas Python's numbers would make all float64.
_f32 = np.float32
_HALF, _ONE = _f32(0.5), _f32(1)
_SATURATED = _f32(20)  # from here on tanh is 1, in float64 too


@fused
def activate(gates: _Array, of_hidden: _Array, past: _Array, hidden: _Array) -> None:
    """Compute the gates and the next hidden state [h] of one row, from the products of its input and its past [h].

    ``gates`` [3h] holds x W and then r, z, n. ``of_hidden`` [3h] holds h U; the part of n is needed to go back.
    """
    h = len(past)
    reset, update, new, u_new = gates[:h], gates[h : 2 * h], gates[2 * h :], of_hidden[2 * h :]
    u_reset, u_update = of_hidden[:h], of_hidden[h : 2 * h]
    for j in range(h):
        reset[j] = _sigmoid(reset[j] + u_reset[j])
        update[j] = _sigmoid(update[j] + u_update[j])
        new[j] = _tanh(new[j] + reset[j] * u_new[j])
        hidden[j] = new[j] + update[j] * (past[j] - new[j])


@fused
def differentiate(
    gates: _Array, u_new: _Array, past: _Array, slope: _Array, to_input: _Array, to_hidden: _Array
) -> None:
    """Carry the gradient of one row's next hidden state, slope [h], back to x W and h U, [3h] each.

    ``gates`` [3h] and ``u_new`` [h], the part of n in h U, are those of ``activate``.
    """
    h = len(past)
    reset, update, new = gates[:h], gates[h : 2 * h], gates[2 * h :]
    to_reset, to_update, to_new = to_input[:h], to_input[h : 2 * h], to_input[2 * h :]
    to_u_reset, to_u_update, to_u_new = to_hidden[:h], to_hidden[h : 2 * h], to_hidden[2 * h :]
    for j in range(h):
        to_new[j] = slope[j] * (_ONE - update[j]) * (_ONE - new[j] * new[j])
        to_u_new[j] = to_new[j] * reset[j]
        to_reset[j] = to_u_reset[j] = to_u_new[j] * u_new[j] * (_ONE - reset[j])
        to_update[j] = to_u_update[j] = slope[j] * (past[j] - new[j]) * update[j] * (_ONE - update[j])


@fused
def _sigmoid(x: Any) -> Any:
    return _HALF + _HALF * _tanh(_HALF * x)


@fused
def _tanh(x: Any) -> Any:
    """tanh to the last bits, in arithmetic that the compiler vectorises, as it does not the C library's.

    Lambert's continued fraction to its ninth term at a quarter of x, then tanh 2u = 2 tanh u / (1 + tanh^2 u), twice.
    A fraction's parts are kept apart to the end, because a division takes as long as all else.
    """
    u = min(max(x, -_SATURATED), _SATURATED) * _HALF * _HALF
    s = u * u
    # 34459425 in two parts, because it is not a float32.
    above = u * (_f32(34459424) + (_ONE + s * (_f32(4729725) + s * (_f32(135135) + s * (_f32(990) + s)))))
    below = _f32(34459424) + (_ONE + s * (_f32(16216200) + s * (_f32(945945) + s * (_f32(13860) + s * _f32(45)))))
    above, below = (above + above) * below, above * above + below * below
    return (above + above) * below / (above * above + below * below)
