"""Puts `envproxy.protocol` on gRPC and takes it off again.

Every `*_from` function checks what came from the other side and raises MalformedError, saying what was expected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from envproxy import battle_pb2 as pb
from envproxy.protocol import (
    ArenaEvent,
    MixAbandoned,
    MixAnswer,
    MixBatch,
    MixEvent,
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

_MOST_SEATS = 1024  # that a phase may name, whatever the map

_Message = TypeVar("_Message", bound=Message)


class MalformedError(ValueError):
    """A message that does not have the form it must have."""


def parser(kind: type[_Message]) -> Callable[[bytes], _Message]:
    """Return what parses messages of a kind. Other bytes become an empty message, which has no meaning.

    For a server: gRPC logs an exception with a stack trace, whatever client causes it.
    """

    def parse(content: bytes) -> _Message:
        try:
            return kind.FromString(content)
        except DecodeError:
            return kind()

    return parse


seat_message = parser(pb.SeatMessage)


def standing_to(standing: Standing) -> pb.Standing:
    return pb.Standing(
        index=standing.index,
        battles=standing.battles,
        steps=standing.steps,
        evaluations=standing.evaluations,
    )


def standing_from(message: pb.Standing) -> Standing:
    return Standing(message.index, message.battles, message.steps, message.evaluations)


def phase_to(phase: Phase) -> pb.Phase:
    return pb.Phase(
        seed=phase.seed,
        round=phase.round,
        kind=pb.PHASE_KIND_COLLECT if phase.kind is PhaseKind.COLLECT else pb.PHASE_KIND_EVALUATE,
        battles=phase.battles,
        steps=phase.steps,
        standing=standing_to(phase.standing),
        mixing=None if phase.mixing is None else pb.MixOrder(**dataclasses.asdict(phase.mixing)),
        rewards=None if phase.rewards is None else pb.RewardOrder(**dataclasses.asdict(phase.rewards)),
        seats=sorted(phase.seats),
        order=phase.order,
    )


def phase_from(message: pb.Phase) -> Phase:
    """Raises MalformedError if the phase has no known kind, or names a seat twice or more seats than any map has."""
    try:
        kind = PhaseKind(message.kind)
    except ValueError:
        raise MalformedError(f"phase kind {message.kind}; expected 1 (collect) or 2 (evaluate)") from None
    standing = standing_from(message.standing)
    mixing = None
    if message.HasField("mixing"):
        mixing = MixOrder(**{field.name: getattr(message.mixing, field.name) for field in dataclasses.fields(MixOrder)})
    rewards = None
    if message.HasField("rewards"):
        rewards = RewardOrder(message.rewards.run, message.rewards.size, message.rewards.credit)
    seats = frozenset(message.seats[:_MOST_SEATS])
    if len(seats) != len(message.seats):
        raise MalformedError(f"a phase that names {len(message.seats)} seats; expected up to {_MOST_SEATS}, each once")
    return Phase(
        seed=message.seed,
        round=message.round,
        kind=kind,
        battles=message.battles,
        steps=message.steps,
        standing=standing,
        mixing=mixing,
        rewards=rewards,
        seats=seats,
        order=message.order,
    )


def actions_from(message: pb.Act, battles: int) -> NDArray[np.uint8]:
    """Return the actions [E]. Raises MalformedError if there is not one byte for each battle."""
    if len(message.actions) != battles:
        raise MalformedError(f"{len(message.actions)} bytes of actions; expected {battles}, one uint8 for each battle")
    return np.frombuffer(message.actions, np.uint8)


def mix_answer_to(answer: MixAnswer) -> pb.SeatMessage:
    if isinstance(answer, MixUtilities):
        steps, battles = answer.chosen.shape
        utilities = pb.MixUtilities(
            step=answer.step,
            steps=steps,
            battles=battles,
            chosen=answer.chosen.tobytes(),
            bootstrap=answer.bootstrap.tobytes(),
        )
        return pb.SeatMessage(mix_utilities=utilities)
    if isinstance(answer, MixHoldings):
        return pb.SeatMessage(mix_holdings=pb.MixHoldings(step=answer.step, battles=answer.battles.tobytes()))
    return pb.SeatMessage(mix_norm=pb.MixNorm(step=answer.step, squared=answer.squared))


def mix_answer_from(message: pb.SeatMessage) -> MixAnswer:
    """Return a seat's answer to a training step. Raises MalformedError if it is none."""
    match message.WhichOneof("message"):
        case "mix_utilities":
            utilities = message.mix_utilities
            chosen, bootstrap = (_steps_by_battles(a, utilities) for a in (utilities.chosen, utilities.bootstrap))
            return MixUtilities(utilities.step, chosen, bootstrap)
        case "mix_holdings":
            return MixHoldings(message.mix_holdings.step, _ids(message.mix_holdings.battles))
        case "mix_norm":
            return MixNorm(message.mix_norm.step, message.mix_norm.squared)
    raise MalformedError("no answer to a training step; expected utilities, holdings or a norm")


def event_to(event: ArenaEvent) -> pb.ArenaMessage:
    if isinstance(event, Tick):
        tick = pb.Tick(
            tick=event.tick,
            steps=event.steps,
            observations=event.observations.tobytes(),
            available=np.packbits(event.available, axis=1).tobytes(),
            rewards=event.rewards.tobytes(),
            ended=event.ended.tobytes(),
            battles=event.battles.tobytes(),
        )
        return pb.ArenaMessage(tick=tick)
    if isinstance(event, Seated):
        return pb.ArenaMessage(seated=pb.Seated(phase=phase_to(event.phase)))
    if isinstance(event, MixEvent):
        return _mix_event_to(event)
    end = pb.PhaseEnd(
        standing=standing_to(event.standing),
        battles=event.battles,
        steps=event.steps,
        won=event.won,
        return_sum=event.return_sum,
        missed=event.missed,
        attested=event.attested,
    )
    return pb.ArenaMessage(phase_end=end)


def event_from(message: pb.ArenaMessage, description: pb.ArenaDescription) -> ArenaEvent:
    """Return the event with arrays of the arena's sizes. Raises MalformedError if they do not fit or it is empty."""
    match message.WhichOneof("message"):
        case "tick":
            return _tick_from(message.tick, description)
        case "seated":
            return Seated(phase_from(message.seated.phase))
        case "phase_end":
            end = message.phase_end
            standing = standing_from(end.standing)
            return PhaseEnd(
                standing, end.battles, end.steps, end.won, end.return_sum, end.missed, attested=end.attested
            )
    return _mix_event_from(message)


def _mix_event_from(message: pb.ArenaMessage) -> MixEvent:
    match message.WhichOneof("message"):
        case "mix_batch":
            return MixBatch(message.mix_batch.step, _ids(message.mix_batch.battles))
        case "mix_gradient":
            return MixGradient(
                message.mix_gradient.step, _steps_by_battles(message.mix_gradient.gradient, message.mix_gradient)
            )
        case "mix_scale":
            taken = message.mix_scale
            return MixScale(**{field.name: getattr(taken, field.name) for field in dataclasses.fields(MixScale)})
        case "mix_abandoned":
            return MixAbandoned(message.mix_abandoned.step)
    raise MalformedError("an empty message; expected seated, tick, phase_end or one of a training step")


def _mix_event_to(event: MixEvent) -> pb.ArenaMessage:
    if isinstance(event, MixBatch):
        return pb.ArenaMessage(mix_batch=pb.MixBatch(step=event.step, battles=event.battles.tobytes()))
    if isinstance(event, MixGradient):
        steps, battles = event.gradient.shape
        gradient = pb.MixGradient(step=event.step, steps=steps, battles=battles, gradient=event.gradient.tobytes())
        return pb.ArenaMessage(mix_gradient=gradient)
    if isinstance(event, MixScale):
        return pb.ArenaMessage(mix_scale=pb.MixScale(**dataclasses.asdict(event)))
    return pb.ArenaMessage(mix_abandoned=pb.MixAbandoned(step=event.step))


def _ids(content: bytes) -> NDArray[np.uint64]:
    if len(content) % 8:
        raise MalformedError(f"{len(content)} bytes of battle ids; expected 8 for each")
    return np.frombuffer(content, np.uint64)


def _steps_by_battles(content: bytes, sizes: pb.MixUtilities | pb.MixGradient) -> NDArray[np.float32]:
    if len(content) != 4 * sizes.steps * sizes.battles:
        raise MalformedError(
            f"{len(content)} bytes for {sizes.steps} steps of {sizes.battles} battles; expected 4, a float32, for each"
        )
    return np.frombuffer(content, np.float32).reshape(sizes.steps, sizes.battles)


def _tick_from(tick: pb.Tick, sizes: pb.ArenaDescription) -> Tick:
    battles = sizes.battles
    width = (sizes.n_actions + 7) // 8
    try:
        packed = np.frombuffer(tick.available, np.uint8).reshape(battles, width)
        return Tick(
            tick=tick.tick,
            steps=tick.steps,
            observations=np.frombuffer(tick.observations, np.float32).reshape(battles, sizes.obs_size),
            available=np.unpackbits(packed, axis=1, count=sizes.n_actions).view(np.bool_),
            rewards=np.frombuffer(tick.rewards, np.float32).reshape(battles),
            ended=np.frombuffer(tick.ended, np.uint8).reshape(battles),
            battles=np.frombuffer(tick.battles, np.uint64).reshape(battles),
        )
    except ValueError as error:
        raise MalformedError(
            f"tick {tick.tick} does not have the sizes of arena {sizes.arena!r} ({battles} battles, "
            f"{sizes.obs_size} observations, {sizes.n_actions} actions): {error}"
        ) from None
