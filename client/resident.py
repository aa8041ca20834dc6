"""The resident agent process of a device: learner, buffer and battles stay here while ClientApps come and go.

Started by a ClientApp (`client.launch`), it listens on the device directory's socket and ends when its SuperNode is
gone, or after a long time without a question; its state is in the device directory after every round.
"""

from __future__ import annotations

import argparse
import logging
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
from client.device import DeviceDirectory
from client.messages import (
    SOCKET_OPTIONS,
    MalformedRequestError,
    reply_to,
    request_from,
)
from client.player import DevicePlayer, MemberPlayer, Player
from client.seat import SeatRefusedError
from client.seat_session import SeatSessionError
from envproxy import wire
from envproxy.transport import Transport
from operations import logs
from operations.home import HomeError, pps_home
from operations.members import Member
from operations.open_files import allow_open_files
from operations.sockets import grpc_target, reached

log = logging.getLogger("agent")

_STOP_LIMIT = 3.0  # seconds
IDLE_LIMIT = 900.0  # seconds without a question after which the process ends; the next question starts another


class AgentService(agent_pb2_grpc.AgentServiceServicer):
    """`client/agent.proto` for one device of one run. One question at a time; a newer one ends the round that is on.

    With an overlap the next round begins as soon as one is reported; its message, when it comes, finds it on.
    """

    def __init__(self, player: Player) -> None:
        self.asked_at = time.monotonic()
        self.busy = False
        self._player = player
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
            if self.busy:
                log.warning("a new question ends the round that is on")
                self._player.stop()
        with self._turn, self._at_work():
            try:
                self._player.leave_ahead(question)
                self._begin(number)
                return reply_to(self._player.answer(question))
            except (SeatRefusedError, SeatSessionError, HomeError) as error:
                log.error("%s", error)
                if isinstance(error, SeatSessionError):
                    self._player.disconnect()
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            except KeyError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the server's message lacks {error}")
        raise AssertionError("abort raises")

    def _begin(self, number: int) -> None:
        """Let a round begin again after `stop`, unless a newer question waits for its turn."""
        with self._order:
            if number != self._newest:
                raise SeatRefusedError("the server has asked something newer")
            self._player.allow()

    def stop(self) -> None:
        """End the round that is on and return when no question is being answered any more."""
        while self.busy:
            self._player.stop()
            time.sleep(0.05)
        self._player.close()

    @property
    def idle(self) -> float:
        """Seconds for which it has had nothing to do: no question, and no round to play ahead."""
        since = max(self.asked_at, self._player.ahead_since)
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
    logs.set_up(run=options.run, **({"seat": options.seat} if options.device is None else {}))
    seat, device = (options.seat, None) if options.device is None else (None, options.device)
    directory = DeviceDirectory(pps_home(), options.run, options.run_id, seat, device=device)
    try:
        directory.make()
    except HomeError as error:
        log.error("%s", error)
        return 1
    if not _lock(directory):
        log.error("another agent process writes in %s", directory.path)
        return 1
    watched = _process(options.watch)
    service = AgentService(_player(options))
    allow_open_files()
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


def _player(options: argparse.Namespace) -> Player:
    transport = Transport(options.root_certificates, options.insecure)
    if options.device is None:
        return MemberPlayer(Member(0, options.seat), options.envproxy, lambda _: Path(options.token), transport)
    members = [Member.parse(text) for text in options.members.split(",") if text]
    return DevicePlayer(options.device, members, options.capacity, options.envproxy, options.tokens, transport)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m client.resident", description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--seat", type=int, help="the seat that the device holds, in a run of one team")
    parser.add_argument("--device", type=int, help="number of a device that holds several members")
    parser.add_argument("--members", default="", help="those that it holds, TEAM:SEAT,...; none: the server says")
    parser.add_argument("--capacity", type=int, default=1, help="how many members it can hold")
    parser.add_argument("--envproxy", required=True, help="HOST:PORT")
    parser.add_argument("--token", type=Path, help="file with the seat's token")
    parser.add_argument("--tokens", type=Path, help="folder of the tokens of all arenas, of a device with --device")
    parser.add_argument("--root-certificates", type=Path, help="CA certificate: the env proxy speaks TLS")
    parser.add_argument("--insecure", action="store_true", help="speak plaintext with an env proxy on another machine")
    parser.add_argument("--watch", type=int, help="pid of the SuperNode: the process ends with it")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
