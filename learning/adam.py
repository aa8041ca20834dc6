"""Adam (Kingma and Ba, ICLR 2015) on the CPU, as one compiled loop: PyTorch's takes five times as long to begin."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from learning.products import fused_entry

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
_Array = NDArray[Any]


def adam_step(
    online: Tensor, gradient: Tensor, average: Tensor, square: Tensor, *, step: int, rate: float, scale: float
) -> None:
    """Take a step with ``scale`` times the gradient.

    Args:
        online: [P], changed in place.
        gradient: [P].
        average: [P], the first moment, changed in place.
        square: [P], the second moment, changed in place.
        step: the number of this step, from 1 on.
        rate: the learning rate.
        scale: see above.
    """
    of_type = gradient.numpy().dtype.type
    size = rate / (1 - BETA1**step)
    factors = (scale, 1 - BETA1, 1 - BETA2, size, 1 / math.sqrt(1 - BETA2**step), EPSILON)
    arrays = (each.detach().numpy() for each in (online, gradient, average, square))
    _step(*arrays, *(of_type(each) for each in factors))


@fused_entry
def _step(
    online: _Array,
    gradient: _Array,
    average: _Array,
    square: _Array,
    scale: float,
    new_in_average: float,
    new_in_square: float,
    size: float,
    unbiased: float,
    epsilon: float,
) -> None:
    for i in range(len(online)):
        slope = scale * gradient[i]
        average[i] += new_in_average * (slope - average[i])
        square[i] += new_in_square * (slope * slope - square[i])
        online[i] -= size * average[i] / (np.sqrt(square[i]) * unbiased + epsilon)
