"""The gRPC service: streams of seats onto hosted arenas. Each stream has a thread, which drives the arena."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, NoReturn

import grpc

from envproxy import battle_pb2 as pb
from envproxy import battle_pb2_grpc, wire
from envproxy.arena import GivenUpError, NoBattlesError, SeatError, StaleRoundError, TakenSeatError
from envproxy.hosting import HostedArena
from envproxy.protocol import awaits_answer
from envproxy.tokens import same_token

log = logging.getLogger("envproxy")

_SERVICE = pb.DESCRIPTOR.services_by_name["BattleService"].full_name
JOIN_TIMEOUT = 10.0  # seconds from the opening of a stream to its Join
# bytes; joint mixing's utilities may be large (`mixing.MAX_UTILITIES`), all else is not
MAX_SEAT_MESSAGE = 4 * 1024 * 1024


class BattleService(battle_pb2_grpc.BattleServiceServicer):
    """`envproxy/battle.proto` over some arenas."""

    def __init__(self, arenas: Mapping[str, HostedArena]) -> None:
        self._arenas = arenas

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.ArenaDescription:  # noqa: N802
        return self._find(request.arena, context).description()

    def Play(  # noqa: N802
        self, request_iterator: Iterator[pb.SeatMessage], context: grpc.ServicerContext
    ) -> Iterator[pb.ArenaMessage]:
        first = _first(request_iterator, context)
        if first is None or first.WhichOneof("message") != "join":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a stream begins with Join{arena, seat, token, ...}")
        join = first.join
        hosted = self._admit(join, context)
        context.add_callback(hosted.wake)
        try:
            with hosted.seat(join.seat):
                yield from self._converse(hosted, first, request_iterator, context)
        except StaleRoundError as error:
            _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, f"seat {join.seat}: {error}")
        except GivenUpError as error:  # the seat did nothing wrong and may come again
            _refuse(context, grpc.StatusCode.ABORTED, f"seat {join.seat}: {error}")
        except NoBattlesError as error:  # to come again would not help
            _refuse(context, grpc.StatusCode.INTERNAL, f"seat {join.seat}: {error}")
        except TakenSeatError as error:
            _refuse(context, grpc.StatusCode.ALREADY_EXISTS, str(error))
        except (SeatError, wire.MalformedError) as error:
            _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, f"seat {join.seat}: {error}")

    def _converse(
        self,
        hosted: HostedArena,
        first: pb.SeatMessage,
        messages: Iterator[pb.SeatMessage],
        context: grpc.ServicerContext,
    ) -> Iterator[pb.ArenaMessage]:
        join, seat = first.join, first.join.seat
        traffic = hosted.traffic[seat]
        traffic.came(first)
        phase = wire.phase_from(join.phase)
        hosted.propose(seat, phase)
        while True:
            event = hosted.next_event(seat, context.is_active)
            if event is None:
                return
            told = wire.event_to(event)
            traffic.went(told)
            yield told
            if not awaits_answer(event):
                continue
            message = next(messages, None)
            if message is None:
                return
            traffic.came(message)
            _pass_on(hosted, seat, message)

    def _admit(self, join: pb.Join, context: grpc.ServicerContext) -> HostedArena:
        hosted = self._find(join.arena, context)
        own = version("pps-qmix")
        if join.version != own:
            _refuse(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                f"the env proxy runs pps-qmix {own}, seat {join.seat} runs "
                f"{ascii(join.version[:80]) if join.version else 'an unknown version'}; "
                "install the same version on both",
            )
        if join.seat >= len(hosted.tokens):
            _refuse(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                f"arena {hosted.name!r} has seats 0..{len(hosted.tokens) - 1}; there is no seat {join.seat}",
            )
        if not same_token(join.token, hosted.tokens[join.seat]):
            _refuse(
                context,
                grpc.StatusCode.UNAUTHENTICATED,
                f"this is not the token of seat {join.seat} of arena {hosted.name!r}; "
                "give the device the token file that the env proxy made for this seat",
            )
        return hosted

    def _find(self, name: str, context: grpc.ServicerContext) -> HostedArena:
        hosted = self._arenas.get(name)
        if hosted is None:
            _refuse(
                context,
                grpc.StatusCode.NOT_FOUND,
                f"there is no arena {name[:80]!a} here; there is {', '.join(sorted(self._arenas))}",
            )
        return hosted


def _first(messages: Iterator[pb.SeatMessage], context: grpc.ServicerContext) -> pb.SeatMessage | None:
    """Return the first message, None if there is none. Whoever says nothing is cut off: it holds a thread, no seat."""
    timer = threading.Timer(JOIN_TIMEOUT, context.cancel)
    timer.daemon = True
    timer.start()
    try:
        return next(messages, None)
    finally:
        timer.cancel()


def _pass_on(hosted: HostedArena, seat: int, message: pb.SeatMessage) -> None:
    match message.WhichOneof("message"):
        case "act":
            actions = wire.actions_from(message.act, hosted.battles)
            hosted.tell(lambda arena: arena.act(seat, message.act.tick, actions))
        case "propose":
            hosted.propose(seat, wire.phase_from(message.propose.phase))
        case "mix_utilities" | "mix_holdings" | "mix_norm":
            answer = wire.mix_answer_from(message)
            hosted.tell(lambda arena: arena.mix(seat, answer))
        case other:
            raise wire.MalformedError(f"{other or 'an empty message'}; expected act or propose")


def _refuse(context: grpc.ServicerContext, code: grpc.StatusCode, why: str) -> NoReturn:
    log.warning("refused %s: %s", context.peer(), why)
    context.abort(code, why)
    raise AssertionError("abort raises")


def _handlers(service: BattleService) -> grpc.GenericRpcHandler[Any, Any]:
    """As the generated code makes them, but for bytes that are no message."""
    methods = {
        "Describe": grpc.unary_unary_rpc_method_handler(
            service.Describe, wire.parser(pb.DescribeRequest), pb.ArenaDescription.SerializeToString
        ),
        "Play": grpc.stream_stream_rpc_method_handler(
            service.Play, wire.parser(pb.SeatMessage), pb.ArenaMessage.SerializeToString
        ),
    }
    return grpc.method_handlers_generic_handler(_SERVICE, methods)


def serve(
    arenas: Sequence[HostedArena], address: str, credentials: grpc.ServerCredentials | None = None
) -> tuple[grpc.Server, int]:
    """Start serving on `address` (host:port, port 0 = any free one); return the server and its port.

    With `credentials` over TLS, else in plaintext.

    Raises OSError if the address cannot be bound.
    """
    streams = sum(len(arena.tokens) for arena in arenas)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=2 * streams + 8, thread_name_prefix="seat"),
        options=[
            ("grpc.max_receive_message_length", MAX_SEAT_MESSAGE),
            ("grpc.so_reuseport", 0),  # a second proxy on the port is an error, not a partner
            ("grpc.keepalive_time_ms", 10_000),  # a device that lost its network frees its seat
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )
    service = BattleService({arena.name: arena for arena in arenas})
    server.add_generic_rpc_handlers((_handlers(service),))
    try:
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: is another program using the port? ({error})") from None
    if port == 0:
        raise OSError(f"cannot listen on {address}: is another program using the port?")
    server.start()
    return server, port
