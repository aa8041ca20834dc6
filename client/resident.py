"""The resident agent process of a seat: learner, buffer and battles stay here while ClientApps come and go.

Started by a ClientApp (`client.launch`), it listens on the device directory's socket and ends when its SuperNode is
gone, or after a long time without a question; its state is in the device directory after every round.
"""

from __future__ import annotations

import argparse
import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil

from client import agent_pb2 as pb
from client import agent_pb2_grpc
from client.ahead import AheadError, RoundAhead, begin_ahead
from client.counters import DeviceCounters
from client.device import DeviceDirectory
from client.messages import (
    SOCKET_OPTIONS,
    MalformedRequestError,
    Reply,
    Request,
    reply_to,
    request_from,
)
from client.play import RoundReport
from client.seat import Seat, SeatRefusedError
from client.seat_session import SeatSession, SeatSessionError
from envproxy import wire
from envproxy.tokens import read_token
from envproxy.transport import Transport, TransportError
from operations import logs
from operations.home import HomeError, pps_home
from operations.sockets import grpc_target, reached
from strategies.messages import DESCRIBE, TRAIN, WEIGHTS

log = logging.getLogger("agent")

_LOOPBACK = Transport()
_STOP_LIMIT = 3.0  # seconds
IDLE_LIMIT = 900.0  # seconds without a question after which the process ends; the next question starts another


class AgentService(agent_pb2_grpc.AgentServiceServicer):
    """`client/agent.proto` for one seat of one run. One question at a time; a newer one ends the round that is on.

    With an overlap the next round begins as soon as one is reported; its message, when it comes, finds it on.
    """

    def __init__(self, seat: int, envproxy: str, token_file: Path, transport: Transport = _LOOPBACK) -> None:
        self.asked_at = time.monotonic()
        self.busy = False
        self._seat_number = seat
        self._envproxy = envproxy
        self._token_file = token_file
        self._transport = transport
        self._seat = Seat(seat, pps_home())
        self._counters = DeviceCounters()
        self._session: SeatSession | None = None
        self._ahead: RoundAhead | None = None
        self._newest = 0  # number of the last question; it may come in while another one is being answered
        self._order = threading.Lock()  # of their numbers, and of stopping and allowing
        self._turn = threading.Lock()

    def Handle(self, request: pb.Request, context: grpc.ServicerContext) -> pb.Answer:  # noqa: N802
        try:
            question = request_from(request)
        except MalformedRequestError as error:  # before it ends a round that is on
            log.error("%s", error)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        with self._order:
            self._newest += 1
            number = self._newest
            if self.busy and self._session is not None:
                log.warning("a new question ends the round that is on")
                self._session.stop()
        with self._turn, self._at_work():
            try:
                self._leave_ahead(question)
                self._begin(number)
                return reply_to(self._answer(question))
            except (SeatRefusedError, SeatSessionError, HomeError) as error:
                log.error("%s", error)
                if isinstance(error, SeatSessionError):
                    self._disconnect()
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            except KeyError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the server's message lacks {error}")
        raise AssertionError("abort raises")

    def _begin(self, number: int) -> None:
        """Let a round begin again after `stop`, unless a newer question waits for its turn."""
        with self._order:
            if number != self._newest:
                raise SeatRefusedError(f"seat {self._seat_number}: the server has asked something newer")
            if self._session is not None:
                self._session.allow()

    def _answer(self, request: Request) -> Reply:
        if request.kind == WEIGHTS:
            return self._seat.weights()
        if request.config.get("centralised"):
            raise SeatRefusedError(
                "a centralised run has one learner for all agents, and none on devices: play it with "
                "pps-qmix train --runtime in-process"
            )
        session = self._connect(str(request.config["arena"]))
        met = self._seat.meet(request, session.describe())
        if request.kind == DESCRIBE:
            return met
        if request.kind == TRAIN:
            reply = self._seat.finish(request, self._play(request, session))
            self._tell(request, reply)
            self._ahead = begin_ahead(request, reply, self._seat, session)
            return reply
        raise SeatRefusedError(f"unknown kind of message {request.kind!r}; expected describe, weights or train")

    def _play(self, request: Request, session: SeatSession) -> RoundReport:
        """Play the round that is ordered to its end, also if it has begun already."""
        if self._ahead is not None:
            tensors = self._seat.checked_tensors(request)
            ahead, self._ahead = self._ahead, None
            try:
                return ahead.finish(tensors)
            except AheadError as error:
                log.warning("round %d begins again: %s", ahead.order.round, error, extra={"round": ahead.order.round})
        return session.play(self._seat.begin(request))

    def _leave_ahead(self, request: Request) -> None:
        """Leave the round that is played ahead if `request` begins another one."""
        if self._ahead is None or request.kind not in (TRAIN, WEIGHTS) or self._ahead.is_ordered(request):
            return
        round_ = self._ahead.order.round
        log.warning("the server orders another round than %d, which was begun", round_, extra={"round": round_})
        self._end_ahead()

    def _end_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.abandon()
            self._ahead = None

    def _tell(self, request: Request, reply: Reply) -> None:
        """Note what was done, for who watches the device; that this fails is no reason to lose a round."""
        run, run_id = str(request.config["run"]), str(request.config["run-id"])
        round_ = int(request.config["round"])
        self._counters.add(round_, reply.values)
        log.info("round %d played: %d battles", round_, reply.values["battles"], extra={"round": round_})
        try:
            self._counters.save(DeviceDirectory(pps_home(), run, run_id, self._seat_number).counters)
        except OSError as error:
            log.warning("cannot write the counters: %s", error, extra={"round": round_})

    def _connect(self, arena: str) -> SeatSession:
        if self._session is None:
            try:
                token = read_token(self._token_file)
            except OSError as error:
                raise SeatRefusedError(
                    f"cannot read the token of seat {self._seat_number}: {error}; copy it from the env proxy's token "
                    'folder and name it in the node config: token="FILE"'
                ) from None
            try:
                self._session = SeatSession(self._envproxy, arena, self._seat_number, token, self._transport)
            except TransportError as error:
                raise SeatRefusedError(f"seat {self._seat_number}: {error}") from None
        return self._session

    def _disconnect(self) -> None:
        """Let the next question begin with a new connection and the token that is in the file then."""
        self._end_ahead()
        if self._session is not None:
            self._session.close()
            self._session = None

    def stop(self) -> None:
        """End the round that is on and return when no question is being answered any more."""
        while self.busy:
            session = self._session
            if session is not None:
                session.stop()
            time.sleep(0.05)
        self._end_ahead()

    @property
    def idle(self) -> float:
        """Seconds for which it has had nothing to do: no question, and no round to play ahead."""
        since = self.asked_at
        if self._ahead is not None:
            since = max(since, self._ahead.waits_since or math.inf)
        return 0.0 if self.busy else max(0.0, time.monotonic() - since)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        self.busy = True
        try:
            yield
        finally:
            self.busy, self.asked_at = False, time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    """Run until the SuperNode is gone. Exit code 0; 1 if the device directory cannot be used or is another's."""
    options = _parse(arguments)
    logs.set_up(seat=options.seat, run=options.run)
    directory = DeviceDirectory(pps_home(), options.run, options.run_id, options.seat)
    try:
        directory.make()
    except HomeError as error:
        log.error("%s", error)
        return 1
    if not _lock(directory):
        log.error("another agent process writes in %s", directory.path)
        return 1
    watched = _process(options.watch)
    transport = Transport(options.root_certificates, options.insecure)
    service = AgentService(options.seat, options.envproxy, options.token, transport)
    directory.socket.unlink(missing_ok=True)
    with reached(directory.socket) as socket:
        server = serve(service, socket)
        log.info("listening on %s", directory.socket)
        _stay(service, watched)
        stopped = server.stop(grace=None)
        service.stop()  # or the round that is on would be played to its end
        stopped.wait(_STOP_LIMIT)  # the socket is removed
    return 0


def _stay(service: AgentService, watched: psutil.Process | None) -> None:
    """Return when this process is told to end, the one it watches has ended, or no question came for a long time."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(0.5):
        if watched is not None and not _alive(watched):
            log.info("the SuperNode (pid %d) is gone", watched.pid)
            return
        if service.idle > IDLE_LIMIT:
            log.info("no question for %.0f s", IDLE_LIMIT)
            return


def serve(service: AgentService, socket: Path) -> grpc.Server:
    """Start answering on a unix socket."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=SOCKET_OPTIONS)
    # As the generated code does it, but for bytes that are no message.
    handle = grpc.unary_unary_rpc_method_handler(service.Handle, wire.parser(pb.Request), pb.Answer.SerializeToString)
    name = pb.DESCRIPTOR.services_by_name["AgentService"].full_name
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Handle": handle}),))
    server.add_insecure_port(grpc_target(socket))
    server.start()
    return server


def _lock(directory: DeviceDirectory) -> bool:
    """Wait a little: the agent of a SuperNode that has just died needs a moment to notice."""
    for _ in range(50):
        if directory.lock():
            return True
        time.sleep(0.1)
    return False


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _process(pid: int | None) -> psutil.Process | None:
    if pid is None:
        return None
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        raise SystemExit(f"no process {pid} to watch") from None


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m client.resident", description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--seat", required=True, type=int)
    parser.add_argument("--envproxy", required=True, help="HOST:PORT")
    parser.add_argument("--token", required=True, type=Path, help="file with the seat's token")
    parser.add_argument("--root-certificates", type=Path, help="CA certificate: the env proxy speaks TLS")
    parser.add_argument("--insecure", action="store_true", help="speak plaintext with an env proxy on another machine")
    parser.add_argument("--watch", type=int, help="pid of the SuperNode: the process ends with it")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
