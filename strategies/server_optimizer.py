"""Flower's server optimizers over the shared tensors (Reddi et al., ICLR 2021; Hsu et al., 2019).

The aggregate x of a round counts as one step: with the aggregate w of the round before, delta = x - w, and

    fedavgm     u <- momentum u - delta,  w <- w - rate u
    fedadagrad  v <- v + delta^2,  w <- w + rate delta / (sqrt(v) + tau)
    fedyogi     as fedadam, but v <- v - (1 - b2) delta^2 sign(v - delta^2), and no bias correction
    fedadam     m <- momentum m + (1 - momentum) delta,  v <- b2 v + (1 - b2) delta^2,
                w <- w + rate c m / (sqrt(v) + tau),  c = sqrt(1 - b2^(t+1)) / (1 - momentum^(t+1)) in round t

with Flower's b2 = 0.99 and tau = 0.001. The arithmetic is Flower's; only the state between rounds is kept here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedAvgM, FedYogi
from numpy.typing import NDArray

from strategies.arithmetic import Tensor, Vector
from strategies.state import State, merged, part_of


class _Method(NamedTuple):
    make: Callable[[float, float], Any]
    """(learning rate, momentum) -> Flower's strategy."""
    kept: tuple[str, ...]
    """Attributes of it that pass from round to round."""


_ADAPTIVE = ("m_t", "v_t")
_METHODS: Final = {
    "fedadam": _Method(lambda rate, momentum: FedAdam(eta=rate, beta_1=momentum), _ADAPTIVE),
    "fedyogi": _Method(lambda rate, momentum: FedYogi(eta=rate, beta_1=momentum), _ADAPTIVE),
    "fedadagrad": _Method(lambda rate, _: FedAdagrad(eta=rate), _ADAPTIVE),
    "fedavgm": _Method(
        lambda rate, momentum: FedAvgM(server_learning_rate=rate, server_momentum=momentum), ("momentum_vector",)
    ),
}
SERVER_OPTIMIZERS: Final = tuple(_METHODS)


class ServerOptimizer:
    """One server optimizer of a run, with its state."""

    def __init__(self, name: str, learning_rate: float, momentum: float) -> None:
        """`name` is one of SERVER_OPTIMIZERS; `momentum` is not used by fedadagrad."""
        self._method = _METHODS[name]
        self._learning_rate, self._momentum = learning_rate, momentum
        self._state: dict[str, dict[str, Vector]] = {}  # attribute -> tensor name -> value

    def step(self, round_: int, previous: Mapping[str, Tensor], average: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the new aggregate: a step from `previous` in the direction of `average`, which have the same names."""
        names = list(average)
        flower = self._method.make(self._learning_rate, self._momentum)
        before = {name: previous[name].astype(np.float64) for name in names}
        is_vector = isinstance(flower, FedAvgM)  # it keeps lists, in the order of the names
        flower.current_arrays = _record(before) if is_vector else before
        for attribute, tensors in self._state.items():
            setattr(flower, attribute, [tensors[name] for name in names] if is_vector else tensors)
        arrays, _ = flower.aggregate_train(round_, [_reply(average)])
        for attribute in self._method.kept:
            value = getattr(flower, attribute)
            if value is not None:
                self._state[attribute] = dict(zip(names, value, strict=True)) if is_vector else dict(value)
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and then refused by name
            return {name: arrays[name].numpy().astype(np.float32) for name in names}

    def state(self) -> State:
        """Return what `restore` takes."""
        return merged(**self._state)

    def restore(self, state: State) -> None:
        """Continue from a state that `state` returned. Raises ValueError if it is of another optimizer."""
        found = {attribute: part_of(state, attribute) for attribute in self._method.kept}
        if sum(map(len, found.values())) != len(state):
            raise ValueError(f"the checkpoint holds another server optimizer's state: {', '.join(state)}")
        self._state = {
            attribute: {name: np.asarray(value, np.float64) for name, value in tensors.items()}
            for attribute, tensors in found.items()
            if tensors
        }


def _reply(average: Mapping[str, Tensor]) -> Message:
    """The aggregate as the reply of one node: Flower's average of it is itself."""
    arrays = _record({name: tensor.astype(np.float64) for name, tensor in average.items()})
    content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})})
    return Message(content, dst_node_id=1, message_type=MessageType.TRAIN)


def _record(tensors: Mapping[str, NDArray[np.float64]]) -> ArrayRecord:
    return ArrayRecord({name: Array(tensor) for name, tensor in tensors.items()})
