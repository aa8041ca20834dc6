"""Events, phases and actions survive the wire; what is malformed raises MalformedError and nothing else."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from envproxy import battle_pb2 as pb
from envproxy import wire
from envproxy.protocol import (
    ArenaEvent,
    MixAbandoned,
    MixAnswer,
    MixBatch,
    MixGradient,
    MixHoldings,
    MixNorm,
    MixOrder,
    MixScale,
    MixUtilities,
    Phase,
    PhaseEnd,
    PhaseKind,
    RewardOrder,
    Seated,
    Standing,
    Tick,
)

UINT32, UINT64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
STANDINGS = st.builds(Standing, UINT32, UINT32, UINT64, UINT64)
REALS = st.floats(allow_nan=False)
ORDERS = st.builds(MixOrder, st.text(), st.text(), UINT32, UINT32, REALS, REALS, REALS, REALS, UINT32, REALS)
REWARD_ORDERS = st.builds(RewardOrder, st.text(), UINT32, st.text())
PHASES = st.builds(
    Phase,
    *(UINT64, UINT32, st.sampled_from(PhaseKind), UINT32, UINT64, STANDINGS, st.none() | ORDERS),
    st.none() | REWARD_ORDERS,
    st.frozensets(UINT32, max_size=30),
    UINT64,
)
ENDS = st.builds(PhaseEnd, STANDINGS, UINT32, UINT64, UINT32, st.floats(allow_nan=False), UINT32, attested=st.text())
SIZES = st.builds(
    pb.ArenaDescription,
    arena=st.just("main"),
    battles=st.integers(1, 9),
    obs_size=st.integers(1, 40),
    n_actions=st.integers(1, 40),
)


@st.composite
def ticks(draw: st.DrawFn, sizes: pb.ArenaDescription) -> Tick:
    def array(dtype: type, *shape: int) -> np.ndarray[Any, Any]:
        return draw(hnp.arrays(dtype, (sizes.battles, *shape)))

    return Tick(
        draw(UINT64),
        draw(UINT64),
        array(np.float32, sizes.obs_size),
        array(np.bool_, sizes.n_actions),
        array(np.float32),
        array(np.uint8),
        array(np.uint64),
    )


def sent(event: ArenaEvent, sizes: pb.ArenaDescription) -> ArenaEvent:
    """Return what the other side makes of an event's bytes."""
    return wire.event_from(pb.ArenaMessage.FromString(wire.event_to(event).SerializeToString()), sizes)


def assert_same_tick(one: ArenaEvent, other: Tick) -> None:
    assert isinstance(one, Tick)
    for field in dataclasses.fields(Tick):
        value, expected = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(value, expected)
        if isinstance(expected, np.ndarray):
            assert value.dtype == expected.dtype


@settings(max_examples=60)
@given(st.data(), SIZES)
def test_a_tick_arrives_as_it_was_sent(data: st.DataObject, sizes: pb.ArenaDescription) -> None:
    tick = data.draw(ticks(sizes))
    assert_same_tick(sent(tick, sizes), tick)


def test_a_tick_of_views_arrives_as_it_was_sent() -> None:
    """An arena hands out columns of [E, N, o], which do not lie in memory as they are sent."""
    sizes = pb.ArenaDescription(battles=3, obs_size=4, n_actions=9)
    rng = np.random.default_rng(0)
    observations = rng.random((3, 5, 4), np.float32)[:, 2]
    available = (rng.random((3, 5, 9)) < 0.5)[:, 2]
    tick = Tick(1, 0, observations, available, np.ones(3, np.float32), np.zeros(3, np.uint8), np.ones(3, np.uint64))
    assert_same_tick(sent(tick, sizes), tick)


def test_the_bytes_are_those_the_protocol_names() -> None:
    tick = Tick(
        tick=3,
        steps=4,
        observations=np.array([[1.0, -2.0]], np.float32),
        available=np.array([[True, False, False, False, False, False, False, True, True]]),
        rewards=np.array([0.5], np.float32),
        ended=np.array([5], np.uint8),
        battles=np.array([2**32 + 1], np.uint64),
    )
    message = wire.event_to(tick).tick
    assert message.observations == bytes.fromhex("0000803f 000000c0")  # little endian
    assert message.available == bytes([0b10000001, 0b10000000])  # first action in the highest bit
    assert message.rewards == bytes.fromhex("0000003f")
    assert message.ended == b"\x05"
    assert message.battles == bytes.fromhex("01000000 01000000")


SCALES = st.builds(MixScale, UINT64, REALS, REALS, REALS, REALS, REALS)


@given(st.one_of(st.builds(Seated, PHASES), ENDS, SCALES, st.builds(MixAbandoned, UINT64)))
def test_other_events_arrive_as_they_were_sent(event: Any) -> None:
    assert sent(event, pb.ArenaDescription()) == event


def answered(answer: MixAnswer) -> MixAnswer:
    """Return what the other side makes of an answer's bytes."""
    return wire.mix_answer_from(pb.SeatMessage.FromString(wire.mix_answer_to(answer).SerializeToString()))


def test_a_training_step_arrives_as_it_was_sent() -> None:
    team = np.arange(24, dtype=np.float32).reshape(4, 2, 3)  # a seat's part does not lie in memory as it is sent
    ids = np.array([2**32 + 1, 7], np.uint64)
    one, other = sent(MixGradient(3, team[..., 1]), pb.ArenaDescription()), answered(MixUtilities(3, *team[:2]))
    assert isinstance(one, MixGradient)
    assert isinstance(other, MixUtilities)
    np.testing.assert_array_equal(one.gradient, team[..., 1])
    np.testing.assert_array_equal(other.chosen, team[0])
    np.testing.assert_array_equal(other.bootstrap, team[1])
    batch, holdings = sent(MixBatch(3, ids), pb.ArenaDescription()), answered(MixHoldings(3, ids))
    assert isinstance(batch, MixBatch)
    assert isinstance(holdings, MixHoldings)
    assert batch.battles.tolist() == holdings.battles.tolist() == ids.tolist()
    assert answered(MixNorm(3, 0.1)) == MixNorm(3, 0.1)


@pytest.mark.parametrize(
    "message",
    [
        pb.SeatMessage(),
        pb.SeatMessage(act=pb.Act()),
        pb.SeatMessage(mix_holdings=pb.MixHoldings(battles=bytes(9))),
        pb.SeatMessage(mix_utilities=pb.MixUtilities(steps=2, battles=1, chosen=bytes(8), bootstrap=bytes(4))),
        pb.SeatMessage(mix_utilities=pb.MixUtilities(steps=2**32 - 1, battles=2**32 - 1)),
    ],
)
def test_an_answer_of_other_sizes_is_malformed(message: pb.SeatMessage) -> None:
    with pytest.raises(wire.MalformedError):
        wire.mix_answer_from(message)


def test_a_gradient_of_other_sizes_is_malformed() -> None:
    message = pb.ArenaMessage(mix_gradient=pb.MixGradient(steps=2, battles=1, gradient=bytes(4)))
    with pytest.raises(wire.MalformedError, match="4 bytes for 2 steps of 1 battles"):
        wire.event_from(message, pb.ArenaDescription())


@given(PHASES)
def test_a_phase_arrives_as_it_was_sent(phase: Phase) -> None:
    assert wire.phase_from(pb.Phase.FromString(wire.phase_to(phase).SerializeToString())) == phase


@given(hnp.arrays(np.uint8, st.integers(0, 40)))
def test_actions_arrive_as_they_were_sent(actions: NDArray[np.uint8]) -> None:
    received = wire.actions_from(pb.Act(actions=actions.tobytes()), len(actions))
    assert received.dtype == np.uint8
    np.testing.assert_array_equal(received, actions)


@pytest.mark.parametrize("kind", [0, 3, -1])
def test_a_phase_of_no_known_kind_is_malformed(kind: Any) -> None:
    with pytest.raises(wire.MalformedError, match=rf"phase kind {kind}; expected 1 \(collect\) or 2 \(evaluate\)"):
        wire.phase_from(pb.Phase(kind=kind, battles=1))
    with pytest.raises(wire.MalformedError):
        wire.event_from(pb.ArenaMessage(seated=pb.Seated(phase=pb.Phase(kind=kind))), pb.ArenaDescription())


@pytest.mark.parametrize("seats", [[1, 1], [2, 0, 2], range(1025), [0] * 10**6])
def test_a_phase_that_names_a_seat_twice_or_seats_without_end_is_malformed(seats: Sequence[int]) -> None:
    with pytest.raises(wire.MalformedError, match=rf"names {len(seats)} seats; expected up to 1024, each once"):
        wire.phase_from(pb.Phase(kind=pb.PHASE_KIND_COLLECT, battles=1, seats=seats))


def test_a_phase_without_seats_is_what_it_was_before_there_were_any() -> None:
    phase = Phase(7, 1, PhaseKind.COLLECT, 2, 0, Standing())
    before = pb.Phase(seed=7, round=1, kind=pb.PHASE_KIND_COLLECT, battles=2, standing=pb.Standing())
    assert wire.phase_to(phase).SerializeToString() == before.SerializeToString()


@pytest.mark.parametrize("given_", [0, 1, 3])
def test_a_wrong_number_of_actions_is_malformed(given_: int) -> None:
    with pytest.raises(wire.MalformedError, match=f"{given_} bytes of actions; expected 2"):
        wire.actions_from(pb.Act(actions=bytes(given_)), 2)


def test_an_empty_message_is_malformed() -> None:
    with pytest.raises(wire.MalformedError, match="expected seated, tick, phase_end or"):
        wire.event_from(pb.ArenaMessage(), pb.ArenaDescription())


@pytest.mark.parametrize("field", ["observations", "available", "rewards", "ended", "battles"])
@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b"", lambda b: b * 2])
def test_a_tick_of_other_sizes_is_malformed(field: str, change: Callable[[bytes], bytes]) -> None:
    sizes = pb.ArenaDescription(arena="main", battles=2, obs_size=3, n_actions=9)
    zeros = np.zeros(2)
    tick = Tick(
        *(1, 0, np.zeros((2, 3), np.float32), np.ones((2, 9), np.bool_), zeros.astype(np.float32)),
        *(zeros.astype(np.uint8), zeros.astype(np.uint64)),
    )
    message = wire.event_to(tick)
    wire.event_from(message, sizes)
    setattr(message.tick, field, change(getattr(message.tick, field)))
    with pytest.raises(wire.MalformedError, match=r"arena 'main' \(2 battles, 3 observations, 9 actions\)"):
        wire.event_from(message, sizes)


@settings(max_examples=200)
@given(
    tick=st.builds(pb.Tick, **dict.fromkeys(("observations", "available", "rewards", "ended", "battles"), st.binary())),
    sizes=SIZES,
)
def test_any_bytes_are_a_tick_or_malformed(tick: pb.Tick, sizes: pb.ArenaDescription) -> None:
    try:
        event = wire.event_from(pb.ArenaMessage(tick=tick), sizes)
    except wire.MalformedError:
        return
    assert isinstance(event, Tick)
