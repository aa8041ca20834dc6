"""The merge of an aggregate into the weights of an agent that has trained on since it sent its own (`overlap`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from client.messages import Tensors
from learning.learner import Learner


class DelayedMerge:
    """Merges the tensors that the server sends for a round, a fixed number of training steps into that round."""

    def __init__(self, learner: Learner, after: int, adopted: Callable[[], Tensors]) -> None:
        """`learner` has the weights that it sent at the end of the round before; it merges after `after` steps.

        `adopted` returns the tensors that the server sends, which fit the learner; it may wait for them.
        """
        self._learner = learner
        self._after = after
        self._adopted = adopted
        self._sent = learner.tensors()
        self._pending = True

    def trained(self, steps: int) -> float:
        """Merge if it is due now, `steps` training steps into the round; return the seconds of waiting."""
        return self.finish() if steps >= self._after else 0.0

    def finish(self) -> float:
        """Merge unless it is done; return the seconds of waiting. A round that ends before it is due ends with it."""
        if not self._pending:
            return 0.0
        began = time.perf_counter()
        adopted = self._adopted()
        waited = time.perf_counter() - began
        self._learner.load(merged(self._learner.tensors(), self._sent, adopted))
        self._pending = False
        return waited


def merged(
    weights: Mapping[str, NDArray[np.float32]],
    sent: Mapping[str, NDArray[np.float32]],
    adopted: Mapping[str, NDArray[np.float32]],
) -> Tensors:
    """Return w + (adopted - w_sent) for the tensors that are in `adopted`; the others stay as they are.

    The server has let the agent adopt the aggregate, adopted = w_sent + adopt (w_g - w_sent). So the result is
    w + adopt (w_g - w_sent). All arrays are float32; those of one name have one shape.
    """
    return {name: weights[name] + (tensor - sent[name]) for name, tensor in adopted.items()}
