"""The gRPC service: streams of seats onto hosted arenas. A stream is a coroutine; none of them holds a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import grpc

from envproxy import battle_pb2 as pb
from envproxy import wire
from envproxy.calls import ELSEWHERE, SeatCall
from envproxy.hosting import HostedArena
from envproxy.protocol import Phase, awaits_answer
from envproxy.refusals import Refusals
from envproxy.seats import GivenUpError, LateError, NoBattlesError, SeatError, StaleRoundError, TakenSeatError
from envproxy.strangers import LONGEST_WAIT, Strangers
from envproxy.tokens import same_token
from operations.protocol import PROTOCOL, own, spoken

_SERVICE = pb.DESCRIPTOR.services_by_name["BattleService"].full_name
_END: Final[Any] = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs lack it
JOIN_TIMEOUT = 10.0  # seconds from the admission of a stream to its Join

Context = grpc.aio.ServicerContext[bytes, bytes]
Code = grpc.StatusCode

# What a seat is sent that said, or asked for, what cannot be: its status and the reason that is counted.
_SEAT_ERRORS: Final = {
    StaleRoundError: (Code.FAILED_PRECONDITION, "stale-round"),
    GivenUpError: (Code.ABORTED, "given-up"),  # the seat did nothing wrong and may come again
    NoBattlesError: (Code.INTERNAL, "no-battles"),  # to come again would not help
    LateError: (Code.RESOURCE_EXHAUSTED, "seat-budget"),  # until the next round
    TakenSeatError: (Code.ALREADY_EXISTS, "taken"),
    SeatError: (Code.INVALID_ARGUMENT, "malformed"),
}


class _RefusedError(Exception):
    """A call ends with a status that is not OK; the message is what the client is sent."""

    def __init__(self, code: grpc.StatusCode, reason: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.reason = reason


class _ElsewhereError(Exception):
    """Another process of this env proxy plays the arena."""


class BattleService:
    """`envproxy/battle.proto` over some arenas, of which the process that serves plays those that are `here`."""

    def __init__(
        self, arenas: Mapping[str, HostedArena], here: Collection[str], refusals: Refusals, strangers: Strangers
    ) -> None:
        self._arenas = arenas
        self._here = frozenset(here)
        self._refusals = refusals
        self._strangers = strangers

    def handlers(self) -> grpc.GenericRpcHandler[Any, Any]:
        """Return the handlers for gRPC. They take and give bytes: messages are counted, and garbage raises nothing."""
        methods = {
            "Describe": grpc.unary_unary_rpc_method_handler(self._describe),
            "Play": grpc.stream_stream_rpc_method_handler(self._play),
        }
        return grpc.method_handlers_generic_handler(_SERVICE, methods)

    async def _describe(self, message: bytes, context: Context) -> bytes:
        with _cancelled_if_over():
            return await self._answer(message, context)

    async def _play(self, _: object, context: Context) -> None:
        with _cancelled_if_over():
            await self._seat(context)

    async def _answer(self, message: bytes, context: Context) -> bytes:
        try:
            call = SeatCall.read(context.invocation_metadata())
            if call is None or not self._is_known(call):
                await self._wait_for_turn(context)
            name = wire.parser(pb.DescribeRequest)(message).arena
            return self._find(name).description().SerializeToString()
        except _RefusedError as refusal:
            await self._refuse(context, refusal)

    async def _seat(self, context: Context) -> None:
        try:
            hosted, seat = await self._admit(context)
            await self._converse(hosted, seat, context)
        except _RefusedError as refusal:
            await self._refuse(context, refusal)
        except _ElsewhereError:
            words = "another process of this env proxy plays this arena; connect again"
            await context.abort(Code.UNAVAILABLE, words, ((ELSEWHERE, "1"),))

    async def _converse(self, hosted: HostedArena, seat: int, context: Context) -> None:
        try:
            first = await _first(context)
            phase = _phase_of(first)
            traffic = hosted.traffic[seat]
            with hosted.seat(seat):
                traffic.received(first)
                hosted.propose(seat, phase)
                while True:
                    event = await hosted.next_event(seat)
                    sent = wire.event_to(event).SerializeToString()
                    traffic.sent(sent)
                    await context.write(sent)
                    if not awaits_answer(event):
                        continue
                    message = await context.read()
                    if message is _END:
                        return
                    traffic.received(message)
                    _pass_on(hosted, seat, message)
        except TakenSeatError as error:
            raise _refused(error, str(error)) from None
        except (SeatError, wire.MalformedError) as error:
            raise _refused(error, f"seat {seat}: {error}") from None

    async def _admit(self, context: Context) -> tuple[HostedArena, int]:
        """Return the arena and the seat that a call may hold. Raises _RefusedError, _ElsewhereError."""
        call = SeatCall.read(context.invocation_metadata())
        try:
            hosted = self._hosted_for(call)
        except _RefusedError:
            await self._wait_for_turn(context)
            raise
        assert call is not None
        if hosted.name not in self._here:
            raise _ElsewhereError
        return hosted, call.seat

    def _is_known(self, call: SeatCall) -> bool:
        try:
            self._hosted_for(call)
        except _RefusedError:
            return False
        return True

    def _hosted_for(self, call: SeatCall | None) -> HostedArena:
        """Return the arena of a call that may hold its seat. Raises _RefusedError."""
        if call is None:
            raise _RefusedError(
                Code.UNAUTHENTICATED,
                "no-token",
                f"a call for a seat names arena, seat, protocol and token in its metadata, as a client of {own()} does",
            )
        hosted = self._find(call.arena)
        if call.protocol != PROTOCOL:
            raise _RefusedError(
                Code.FAILED_PRECONDITION,
                "protocol",
                f"the env proxy speaks {own()}, seat {call.seat} speaks {spoken(call.protocol, call.version)}; "
                "install versions of the same protocol on both",
            )
        if call.seat >= len(hosted.tokens):
            raise _RefusedError(
                Code.INVALID_ARGUMENT,
                "no-seat",
                f"arena {hosted.name!r} has seats 0..{len(hosted.tokens) - 1}; seat {call.seat} does not exist",
            )
        if not same_token(call.token, hosted.tokens[call.seat]):
            raise _RefusedError(
                Code.UNAUTHENTICATED,
                "token",
                f"this is not the token of seat {call.seat} of arena {hosted.name!r}; "
                "give the device the token file that the env proxy made for this seat",
            )
        return hosted

    def _find(self, name: str) -> HostedArena:
        hosted = self._arenas.get(name)
        if hosted is None:
            raise _RefusedError(
                Code.NOT_FOUND,
                "unknown-arena",
                f"unknown arena {name[:80]!a}; served here: {', '.join(sorted(self._arenas))}",
            )
        return hosted

    async def _wait_for_turn(self, context: Context) -> None:
        """Let a call without a seat's token wait until it may be served. Raises _RefusedError."""
        if not await self._strangers.turn(context.peer()):
            raise _RefusedError(
                Code.RESOURCE_EXHAUSTED,
                "too-many-calls",
                f"too many calls without a seat's token come from here; call again after {LONGEST_WAIT:.0f} s",
            )

    async def _refuse(self, context: Context, refusal: _RefusedError) -> NoReturn:
        self._refusals.note(refusal.reason, context.peer(), str(refusal))
        await context.abort(refusal.code, str(refusal))
        raise AssertionError("abort raises")


@contextmanager
def _cancelled_if_over() -> Iterator[None]:
    """Treat what gRPC raises of a call that is over as the call's cancellation: else it logs a stack trace."""
    try:
        yield
    except (grpc.aio.InternalError, grpc.aio.UsageError):
        raise asyncio.CancelledError from None


async def _first(context: Context) -> bytes:
    """Return the first message of a stream. Raises _RefusedError if it comes too late, MalformedError at its end."""
    try:
        async with asyncio.timeout(JOIN_TIMEOUT):
            message = await context.read()
    except TimeoutError:
        raise _RefusedError(
            Code.DEADLINE_EXCEEDED, "no-join", f"a stream begins with Join; none came in {JOIN_TIMEOUT:g} s"
        ) from None
    if message is _END:
        raise wire.MalformedError("no message; a stream begins with Join{phase}")
    return message


def _phase_of(first: bytes) -> Phase:
    message = wire.seat_message(first)
    if message.WhichOneof("message") != "join":
        raise wire.MalformedError("a stream begins with Join{phase}")
    return wire.phase_from(message.join.phase)


def _pass_on(hosted: HostedArena, seat: int, content: bytes) -> None:
    message = wire.seat_message(content)
    match message.WhichOneof("message"):
        case "act":
            actions = wire.actions_from(message.act, hosted.battles)
            tick = message.act.tick
            hosted.tell(seat, lambda arena: arena.act(seat, tick, actions))
        case "propose":
            hosted.propose(seat, wire.phase_from(message.propose.phase))
        case "mix_utilities" | "mix_holdings" | "mix_norm":
            answer = wire.mix_answer_from(message)
            hosted.tell(seat, lambda arena: arena.mix(seat, answer))
        case other:
            raise wire.MalformedError(f"{other or 'an empty message'}; expected act or propose")


def _refused(error: Exception, why: str) -> _RefusedError:
    code, reason = next(
        (_SEAT_ERRORS[kind] for kind in type(error).__mro__ if kind in _SEAT_ERRORS),
        (Code.INVALID_ARGUMENT, "malformed"),
    )
    return _RefusedError(code, reason, why)
