"""Compiled matrix products: faster on one core than PyTorch's at the sizes of an agent network (docs/speed.md).

They are for compiled loops, which PyTorch's products cannot be called from. Each row of a result is the same whatever
rows stand beside it.
"""

import functools
from typing import Any, Final

from numpy.typing import NDArray

from operations.compiled import entry, part

_CONTRACT: Final = {"contract"}  # a product and a sum are one instruction
fused = functools.partial(part, fastmath=_CONTRACT)
fused_entry = functools.partial(entry, fastmath=_CONTRACT)
_Array = NDArray[Any]
_Four = tuple[Any, Any, Any, Any]

_BLOCK = 32  # rows whose products with a wide matrix's rows stay in the first-level cache


@functools.partial(fused, inlined=False)
def add_product(out: _Array, left: _Array, right: _Array) -> None:
    """Add to out [n, m] the product of left [n, k] and right [k, m]. The rows of out and right have no gaps.

    Four rows and four terms are taken at once, so that what is loaded is used four times.
    """
    (n, m), k = out.shape, len(right)
    for i in range(0, n - n % 4, 4):
        o0, o1, o2, o3 = out[i], out[i + 1], out[i + 2], out[i + 3]
        for q in range(0, k - k % 4, 4):
            w0, w1, w2, w3 = _four(left, i, q), _four(left, i + 1, q), _four(left, i + 2, q), _four(left, i + 3, q)
            r0, r1, r2, r3 = right[q], right[q + 1], right[q + 2], right[q + 3]
            for j in range(m):
                x = r0[j], r1[j], r2[j], r3[j]
                o0[j] = _plus_four(o0[j], w0, x)
                o1[j] = _plus_four(o1[j], w1, x)
                o2[j] = _plus_four(o2[j], w2, x)
                o3[j] = _plus_four(o3[j], w3, x)
    for i in range(n - n % 4, n):
        o0 = out[i]
        for q in range(0, k - k % 4, 4):
            w0 = _four(left, i, q)
            r0, r1, r2, r3 = right[q], right[q + 1], right[q + 2], right[q + 3]
            for j in range(m):
                o0[j] = _plus_four(o0[j], w0, (r0[j], r1[j], r2[j], r3[j]))
    for q in range(k - k % 4, k):
        r0 = right[q]
        for i in range(n):
            o0, w = out[i], left[i, q]
            for j in range(m):
                o0[j] += w * r0[j]


@fused
def add_product_over_rows(out: _Array, left: _Array, right: _Array) -> None:
    """Add to out [k, m] the product of left [n, k], transposed, and right [n, m]: a sum over n rows."""
    for first in range(0, len(left), _BLOCK):
        last = min(first + _BLOCK, len(left))
        add_product(out, left[first:last].T, right[first:last])


@fused
def add_rows(out: _Array, rows: _Array) -> None:
    """Add to out [m] the sum of rows [n, m]."""
    for i in range(len(rows)):
        row = rows[i]
        for j in range(len(out)):
            out[j] += row[j]


@fused
def _four(matrix: _Array, i: int, j: int) -> _Four:
    return matrix[i, j], matrix[i, j + 1], matrix[i, j + 2], matrix[i, j + 3]


@fused
def _plus_four(total: Any, w: _Four, x: _Four) -> Any:
    return total + w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3]
