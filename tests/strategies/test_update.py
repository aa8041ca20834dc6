"""Replies as they should be, and each way in which they can be wrong."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MessageType, MetricRecord, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

from strategies.figures import COUNTS, LEARNING, NUMBERS
from strategies.update import ANYTHING, Bounds, RejectedReply, Update, parse_update

EXPECTED = {"w": (2, 3), "b": (2,)}
SOUND = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([0.5, -0.5], np.float32)}
FIGURES = {**dict.fromkeys(COUNTS, 3), **dict.fromkeys((*NUMBERS, *LEARNING), 0.25)}
EVALUATIONS = {
    "evaluate-steps": [100, 200],
    "evaluate-battles": [4, 4],
    "evaluate-won": [0, 4],
    "evaluate-return": [1.5, 20.0],
    "evaluate-length": [30.0, 20.5],
}
METRICS: dict[str, Any] = {**FIGURES, "seat": 1, "reward-sum": 12.0, "reward-battles": 4}


def request() -> Message:
    return Message(RecordDict(), dst_node_id=7, message_type=MessageType.TRAIN, group_id="1")


def reply(arrays: dict[str, Any] | None = None, metrics: dict[str, Any] | None = None) -> Message:
    """Answer with SOUND and METRICS, with changes; a value of None leaves the entry out."""
    own = {name: tensor for name, tensor in {**SOUND, **(arrays or {})}.items() if tensor is not None}
    said = {key: value for key, value in {**METRICS, **(metrics or {})}.items() if value is not None}
    return Message(
        RecordDict(
            {
                "arrays": ArrayRecord({k: v if isinstance(v, Array) else Array(v) for k, v in own.items()}),
                "metrics": MetricRecord(said),
            }
        ),
        reply_to=request(),
    )


def npz() -> bytes:
    """An archive of arrays, which numpy opens as it does an array."""
    file = io.BytesIO()
    np.savez(file, b=SOUND["b"])
    return file.getvalue()


def npy_of(numbers: int) -> bytes:
    """The beginning of an array file that claims to hold so many."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (numbers,)})
    return file.getvalue() + bytes(8)


def over_the_wire(message: Message) -> Message:
    """Send a message through Flower's own serialisation."""
    contents = {key: thing.deflate() for key, thing in get_all_nested_objects(message).items()}
    arrived = inflate_object_from_contents(message.object_id, contents)
    assert isinstance(arrived, Message)
    return arrived


@pytest.mark.parametrize("way", [lambda message: message, over_the_wire])
def test_sound_reply(way: Callable[[Message], Message]) -> None:
    update = parse_update(way(reply()), EXPECTED, ANYTHING)
    assert (update.seat, update.reward, update.battles) == (1, 12.0, 4)
    assert update.mean_return == 3.0
    assert list(update.tensors) == ["w", "b"]
    for name, tensor in update.tensors.items():
        assert tensor.dtype == np.float32
        assert tensor.tobytes() == SOUND[name].tobytes()


def test_order_is_the_servers() -> None:
    reordered = Message(
        RecordDict(
            {
                "arrays": ArrayRecord({name: Array(SOUND[name]) for name in ("b", "w")}),
                "metrics": MetricRecord(METRICS),
            }
        ),
        reply_to=request(),
    )
    assert list(parse_update(reordered, EXPECTED, ANYTHING).tensors) == ["w", "b"]


def test_reward_may_be_an_integer() -> None:
    update = parse_update(reply(metrics={"reward-sum": 12}), EXPECTED, ANYTHING)
    assert isinstance(update.reward, float)


def test_empty_reward_buffer() -> None:
    update = parse_update(reply(metrics={"reward-sum": 0.0, "reward-battles": 0}), EXPECTED, ANYTHING)
    assert update.mean_return == 0.0


def test_wire_keeps_order_type_and_empty_records() -> None:
    """What the strategies rely on in Flower's records."""
    names = ["z", "a", "m"]
    sent = RecordDict(
        {
            "arrays": ArrayRecord({name: Array(np.zeros((2, 0, 1), np.float32)) for name in names}),
            "none": ArrayRecord(),
            "config": ConfigRecord({"seat": 0, "adopt": 1.0}),
        }
    )
    content = over_the_wire(Message(sent, reply_to=request())).content
    arrays = content.array_records["arrays"]
    assert list(arrays) == names
    assert all(array.numpy().dtype == np.float32 for array in arrays.values())
    assert arrays["z"].numpy().shape == (2, 0, 1)
    assert content["none"] == ArrayRecord()
    assert isinstance(content["config"]["adopt"], float)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"b": None}, r"^tensors missing: b; expected w, b$"),
        ({"c": np.zeros(1, np.float32)}, r"^tensors unknown: c; expected w, b$"),
        ({"w": np.zeros((3, 2), np.float32)}, r"^tensor w has shape \(3, 2\), expected \(2, 3\)$"),
        ({"b": np.array([0.0, np.nan], np.float32)}, r"^tensor b holds NaN, expected finite numbers$"),
        ({"b": np.array([-np.inf, 0.0], np.float32)}, r"^tensor b holds infinity, expected finite numbers$"),
        ({"b": np.zeros(2, np.float64)}, r"^tensor b is of type float64, expected float32$"),
        ({"b": np.zeros(2, ">f4")}, r"^tensor b is of type >f4, expected float32$"),
        ({"b": Array("float32", (2,), "numpy.ndarray", b"junk")}, r"^tensor b cannot be read as a numpy array: "),
        ({"b": Array("float32", (2,), "other", b"")}, r"^tensor b cannot be read as a numpy array: "),
        ({"b": Array("float32", (2,), "numpy.ndarray", npz())}, r"^tensor b is a NpzFile, expected one array$"),
        (
            {"b": Array("float32", (2,), "numpy.ndarray", npy_of(10**14))},
            r"^tensor b cannot be read as a numpy array: ",
        ),
        # What the Array says of itself beside its bytes is not to be trusted.
        (
            {"b": Array("float32", (2,), "numpy.ndarray", Array(np.zeros(3, np.float32)).data)},
            r"^tensor b has shape \(3,\), expected \(2,\)$",
        ),
    ],
)
def test_wrong_tensors(arrays: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectedReply, match=reason):
        parse_update(reply(arrays=arrays), EXPECTED, ANYTHING)


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({"seat": None}, r'^metric "seat" is None, expected an integer of at least 0$'),
        ({"seat": 1.0}, r'^metric "seat" is 1\.0, expected an integer of at least 0$'),
        ({"seat": -1}, r'^metric "seat" is -1, expected an integer of at least 0$'),
        ({"reward-battles": None}, r'^metric "reward-battles" is None, expected'),
        ({"reward-battles": -4}, r'^metric "reward-battles" is -4, expected'),
        ({"reward-sum": None}, r'^metric "reward-sum" is None, expected a number$'),
        ({"reward-sum": [1.0]}, r'^metric "reward-sum" is \[1\.0\], expected a number$'),
        ({"reward-sum": float("nan")}, r'^metric "reward-sum" is nan, expected a finite number$'),
        ({"reward-sum": float("inf")}, r'^metric "reward-sum" is inf, expected a finite number$'),
        ({"reward-battles": 0}, r'^metric "reward-sum" is 12\.0 over 0 battles, expected 0$'),
    ],
)
def test_wrong_metrics(metrics: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectedReply, match=reason):
        parse_update(reply(metrics=metrics), EXPECTED, ANYTHING)


def test_what_a_loss_or_a_gain_is_believed_of_ends_at_the_same_bound() -> None:
    bounds = Bounds(battles=4, mean_return=5.0, change=1.0)
    for sum_ in (20.0, -20.0):
        assert parse_update(reply(metrics={"reward-sum": sum_}), EXPECTED, bounds).reward == sum_
    for sum_ in (20.5, -20.5, -1e12):
        with pytest.raises(RejectedReply, match=r"over 4 battles, expected at most max-return \(5\) for each"):
            parse_update(reply(metrics={"reward-sum": sum_}), EXPECTED, bounds)
    with pytest.raises(RejectedReply, match=r'^metric "evaluate-return" is \[1.5, 20.0\], expected at most max-return'):
        parse_update(reply(metrics=EVALUATIONS), EXPECTED, bounds)


def test_a_long_reason_is_shortened_for_the_log() -> None:
    names = {"x" * 1000 + str(number): np.zeros(0, np.float32) for number in range(1000)}
    for spoiled in (reply(arrays=names), reply(metrics={"seat": [7] * 100_000})):
        with pytest.raises(RejectedReply) as rejected:
            parse_update(spoiled, EXPECTED, ANYTHING)
        assert 900 < len(rejected.value.reason) < 1100
        assert str(rejected.value) == rejected.value.reason


def test_before_the_first_training_step_there_are_no_figures_of_learning() -> None:
    assert parse_update(reply(metrics=dict.fromkeys(LEARNING)), EXPECTED, ANYTHING).seat == 1


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({"steps": None}, r'^metric "steps" is None, expected an integer of at least 0$'),
        ({"battles": [3]}, r'^metric "battles" is \[3\], expected an integer of at least 0$'),
        ({"won": -1}, r'^metric "won" is -1, expected an integer of at least 0$'),
        ({"missed": 0.5}, r'^metric "missed" is 0\.5, expected an integer of at least 0$'),
        ({"epsilon": None}, r'^metric "epsilon" is None, expected a finite number$'),
        ({"seconds-acting": float("inf")}, r'^metric "seconds-acting" is inf, expected a finite number$'),
        ({"loss": float("nan")}, r'^metric "loss" is nan, expected a finite number$'),
        ({"loss": 1e300}, r'^metric "loss" is 1e\+300, expected a finite number$'),
        ({"evaluate-return": [1.0, 1.7e308]}, r'^metric "evaluate-return" is \[1\.0, 1\.7e\+308\], expected 2 numbers'),
        ({"q-mean": [0.5]}, r'^metric "q-mean" is \[0\.5\], expected a finite number$'),
        ({"zzz": 1, "free": 2}, r"^metrics unknown: free, zzz$"),
        ({f"zzz{i}": 1 for i in range(100)}, r"^metrics unknown: (zzz\d+, ){9}zzz\d+$"),
        ({"evaluate-steps": None}, r'^metric "evaluate-steps" is None, expected a list of 1 to 10000 numbers$'),
        ({"evaluate-steps": []}, r'^metric "evaluate-steps" is \[\], expected a list of 1 to 10000 numbers$'),
        ({"evaluate-steps": [1] * 10_001}, r"^metric \"evaluate-steps\" is \[1, 1, 1, 1, 1\], expected a list of"),
        ({"evaluate-won": [0]}, r'^metric "evaluate-won" is \[0\], expected 2 numbers, one for each of'),
        ({"evaluate-won": None}, r'^metric "evaluate-won" is None, expected 2 numbers, one for each of'),
        ({"evaluate-length": [float("nan"), 1.0]}, r'^metric "evaluate-length" is \[nan, 1\.0\], expected 2 numbers'),
        ({"evaluate-battles": [0, 4]}, r'^metric "evaluate-won" is \[0, 4\] of \[0, 4\] battles$'),
        ({"evaluate-won": [0, 5]}, r'^metric "evaluate-won" is \[0, 5\] of \[4, 4\] battles$'),
    ],
)
def test_wrong_figures(metrics: dict[str, Any], reason: str) -> None:
    parse_update(reply(metrics=EVALUATIONS), EXPECTED, ANYTHING)
    with pytest.raises(RejectedReply, match=reason):
        parse_update(reply(metrics={**EVALUATIONS, **metrics}), EXPECTED, ANYTHING)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (RecordDict(), r'^expected an ArrayRecord "arrays", the reply holds nothing$'),
        (
            RecordDict({"metrics": MetricRecord()}),
            r'^expected an ArrayRecord "arrays", the reply holds "metrics"$',
        ),
        (RecordDict({"arrays": ArrayRecord()}), r'^expected a MetricRecord "metrics", the reply holds "arrays"$'),
        (
            RecordDict({"arrays": ArrayRecord(), "metrics": ConfigRecord()}),
            r'^expected a MetricRecord "metrics", the reply holds "arrays", "metrics"$',
        ),
    ],
)
def test_missing_records(content: RecordDict, reason: str) -> None:
    with pytest.raises(RejectedReply, match=reason):
        parse_update(Message(content, reply_to=request()), EXPECTED, ANYTHING)


def test_error_from_flower() -> None:
    failed = Message(Error(code=2, reason="the agent\n  fell over " + "x" * 1000), reply_to=request())
    with pytest.raises(RejectedReply, match=r"^Flower reports error 2 in place of a reply: the agent fell over") as it:
        parse_update(failed, EXPECTED, ANYTHING)
    assert len(it.value.reason) < 400

    with pytest.raises(RejectedReply, match="no reason given"):
        parse_update(Message(Error(code=0), reply_to=request()), EXPECTED, ANYTHING)


def test_update_is_frozen() -> None:
    update = Update(seat=0, tensors={}, reward=0.0, battles=0)
    with pytest.raises(AttributeError):
        update.reward = 1.0  # type: ignore[misc]
