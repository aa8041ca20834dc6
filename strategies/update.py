"""What an agent reports at the end of a round, checked on its way in."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord

from strategies.arithmetic import Tensor
from strategies.attestation import Attestation, UnattestedError
from strategies.figures import diverged_figure, wrong_figure

_REASON_CHARACTERS = 300  # Flower's reason may be a whole stack trace
_SENTENCE_CHARACTERS = 1000  # what a device has sent may be in it, and be long


class RejectedReply(Exception):  # noqa: N818 - not a failure of ours: the reply is left out and the round continues
    """A reply that cannot be aggregated; its text is a sentence that says what was wrong and what was expected."""

    def __init__(self, reason: str) -> None:
        self.reason = reason if len(reason) <= _SENTENCE_CHARACTERS else f"{reason[:_SENTENCE_CHARACTERS]}..."
        super().__init__(self.reason)


class DivergedReply(RejectedReply):
    """A reply of an agent whose training has left the finite numbers; `detail` is which of them, without a cause."""

    def __init__(self, detail: str, cause: str = "") -> None:
        self.detail = detail
        super().__init__(f"{detail}; {cause}" if cause else detail)


@dataclass(frozen=True)
class Bounds:
    """What is believed of a reply."""

    battles: int | None
    """In a reward buffer, at most; None: any number."""
    mean_return: float
    """Return per battle, at most, and at least its negative."""
    change: float
    """Of one weight in one round, at most: what the optimiser can do."""


ANYTHING = Bounds(battles=None, mean_return=math.inf, change=math.inf)


@dataclass(frozen=True)
class Update:
    """One agent's reply to a train message; `seat` is its member's number.

    `tensors` are its parameters (float32, finite) in the order of the server's; `reward` is R_i, the sum of its reward
    buffer; `battles` is the number of battles in that buffer; `staleness` is the number of aggregations since the
    message that it answers was made.
    """

    seat: int
    tensors: dict[str, Tensor]
    reward: float
    battles: int
    staleness: int = 0

    @property
    def mean_return(self) -> float:
        """Reward per battle in the reward buffer; 0 while it is empty."""
        return self.reward / self.battles if self.battles else 0.0


def parse_update(message: Message, expected: Mapping[str, tuple[int, ...]], bounds: Bounds) -> Update:
    """Read an agent's reply: its parameters in record "arrays"; seat, reward buffer and figures in record "metrics".

    `expected` names every tensor the reply must hold, with its shape. Whether the seat is the one the sender holds is
    for the caller to check. Raises RejectedReply if Flower reports an error in place of a reply, or if a record, a
    tensor or a metric is missing, unknown, of another shape or type, not finite, or beyond what is believed;
    DivergedReply if a tensor or a figure of learning is not finite.
    """
    arrays, metrics = _arrays(message), message.content.get("metrics")
    if not isinstance(metrics, MetricRecord):
        raise RejectedReply(f'expected a MetricRecord "metrics", the reply holds {_listing(message.content)}')
    seat = _integer(metrics, "seat")
    reward, battles = _reward_buffer(metrics, bounds)
    if diverged := diverged_figure(metrics):
        raise DivergedReply(diverged)
    if wrong := wrong_figure(metrics, bounds.mean_return):
        raise RejectedReply(wrong)
    return Update(seat=seat, tensors=_tensors(arrays, expected), reward=reward, battles=battles)


def parse_weights(message: Message) -> dict[str, Tensor]:
    """Read the tensors of an answer, whatever their names and shapes: record "arrays".

    Raises RejectedReply if Flower reports an error in place of an answer, if there is no tensor, or if one is not
    float32 or not finite.
    """
    arrays = _arrays(message)
    if not arrays:
        raise RejectedReply("the answer holds no tensor")
    return {name: _tensor(name, array, None) for name, array in arrays.items()}


def check_change(update: Update, began: Mapping[str, Tensor], bounds: Bounds) -> None:
    """Compare an agent's tensors with those it `began` the round with, which have the same names and shapes.

    Raises RejectedReply if a weight has moved further than the optimiser can have moved it.
    """
    for name, tensor in update.tensors.items():
        moved = np.abs(tensor.astype(np.float64) - began[name]).max(initial=0.0)
        if moved > bounds.change:
            raise RejectedReply(
                f"tensor {name} has moved by {moved:.3g} in a round, expected at most {bounds.change:.3g}: "
                "no training does that with this learning-rate"
            )


def attested(update: Update, message: Message, round_: int, attestation: Attestation) -> Update:
    """Put what the env proxy attests of the reward buffer in the place of what the agent claims.

    The statement is the text "attested" in the reply's record "config". Raises RejectedReply if it does not hold.
    """
    texts = message.content.get("config")
    text = texts.get("attested") if isinstance(texts, ConfigRecord) else None
    try:
        reward, battles = attestation.read(text, update.seat, round_)
    except UnattestedError as error:
        raise RejectedReply(str(error)) from None
    return dataclasses.replace(update, reward=reward, battles=battles)


def _arrays(message: Message) -> ArrayRecord:
    if message.has_error():
        reason = " ".join((message.error.reason or "no reason given").split())[:_REASON_CHARACTERS]
        raise RejectedReply(f"Flower reports error {message.error.code} in place of a reply: {reason}")
    arrays = message.content.get("arrays")
    if not isinstance(arrays, ArrayRecord):
        raise RejectedReply(f'expected an ArrayRecord "arrays", the reply holds {_listing(message.content)}')
    return arrays


def _reward_buffer(metrics: MetricRecord, bounds: Bounds) -> tuple[float, int]:
    battles = _integer(metrics, "reward-battles")
    reward = metrics.get("reward-sum")
    if not isinstance(reward, int | float):
        raise RejectedReply(f'metric "reward-sum" is {reward!r}, expected a number')
    if not math.isfinite(reward):
        raise RejectedReply(f'metric "reward-sum" is {reward}, expected a finite number')
    if battles == 0 and reward != 0:
        raise RejectedReply(f'metric "reward-sum" is {reward} over 0 battles, expected 0')
    if bounds.battles is not None and battles > bounds.battles:
        raise RejectedReply(f'metric "reward-battles" is {battles}, expected at most reward-buffer ({bounds.battles})')
    if abs(reward) > battles * bounds.mean_return:
        raise RejectedReply(
            f'metric "reward-sum" is {reward:g} over {battles} battles, expected at most max-return '
            f"({bounds.mean_return:g}) for each, gained or lost"
        )
    return float(reward), battles


def _integer(metrics: MetricRecord, key: str) -> int:
    value = metrics.get(key)
    if not isinstance(value, int) or value < 0:
        raise RejectedReply(f'metric "{key}" is {value!r}, expected an integer of at least 0')
    return value


def _tensors(arrays: ArrayRecord, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    missing = [name for name in expected if name not in arrays]
    unknown = [name for name in arrays if name not in expected]
    if missing:
        raise RejectedReply(f"tensors missing: {', '.join(missing)}; expected {', '.join(expected)}")
    if unknown:
        raise RejectedReply(f"tensors unknown: {', '.join(unknown)}; expected {', '.join(expected)}")
    return {name: _tensor(name, arrays[name], shape) for name, shape in expected.items()}


def _tensor(name: str, array: Array, shape: tuple[int, ...] | None) -> Tensor:
    """`shape` None: any."""
    try:
        tensor = array.numpy()
    except Exception as error:  # the bytes come from another machine: whatever they hold, only this reply may fail
        raise RejectedReply(f"tensor {name} cannot be read as a numpy array: {error}") from error
    if not isinstance(tensor, np.ndarray):  # numpy opens archives of arrays, too
        raise RejectedReply(f"tensor {name} is a {type(tensor).__name__}, expected one array")
    # The shape and type of what was read, not the ones the Array states beside its bytes: Flower compares them nowhere.
    if shape not in (None, tensor.shape):
        raise RejectedReply(f"tensor {name} has shape {tensor.shape}, expected {shape}")
    if tensor.dtype != np.float32:
        raise RejectedReply(f"tensor {name} is of type {tensor.dtype}, expected float32")
    if np.isnan(tensor).any():
        raise DivergedReply(f"tensor {name} holds NaN, expected finite numbers")
    if np.isinf(tensor).any():
        raise DivergedReply(f"tensor {name} holds infinity, expected finite numbers")
    return tensor


def _listing(names: Mapping[str, object]) -> str:
    return ", ".join(f'"{name}"' for name in names) or "nothing"
