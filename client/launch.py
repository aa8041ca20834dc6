"""Finds the agent process of a device, or starts it. Imports nothing heavy: the ClientApp starts per message."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil

from client import agent_pb2 as pb
from client import agent_pb2_grpc
from client.device import DeviceDirectory
from client.messages import SOCKET_OPTIONS
from envproxy.transport import Transport
from operations.forks import SUPERNODE, Fork, fork
from operations.members import Member
from operations.memory import killed
from operations.sockets import grpc_target, reached

_START_LIMIT = 90.0  # seconds; importing torch on a small, busy device takes a while
_ATTEMPTS = 4  # an agent process that ends during a question is started again
_PAUSE = 1.0  # seconds before the next attempt: a process that was killed keeps its lock for a moment


class AgentError(Exception):
    """The agent refused the question or could not be started; the message says why."""


@dataclass(frozen=True)
class SeatAddress:
    """What a device must know to play: its seat, its token file, the env proxy's address (HOST:PORT) and transport."""

    seat: int
    envproxy: str
    token: Path
    transport: Transport = field(default_factory=Transport)

    @property
    def name(self) -> str:
        return f"seat {self.seat}"

    def directory(self, home: Path, run: str, run_id: str) -> DeviceDirectory:
        """Return the device's directory for a run. Raises DeviceError."""
        return DeviceDirectory(home, run, run_id, self.seat)

    def arguments(self) -> list[str]:
        """Return what tells an agent process who it is."""
        return ["--seat", str(self.seat), "--token", str(self.token)]


@dataclass(frozen=True)
class HostAddress:
    """What a device must know to hold several members: its number, who they are, the folder of tokens, the env proxy.

    Without `members` the server gives it as many as `capacity` says.
    """

    device: int
    members: tuple[Member, ...]
    capacity: int
    envproxy: str
    tokens: Path
    transport: Transport = field(default_factory=Transport)

    @property
    def name(self) -> str:
        return f"device {self.device}"

    def directory(self, home: Path, run: str, run_id: str) -> DeviceDirectory:
        """Return the device's directory for a run. Raises DeviceError."""
        return DeviceDirectory(home, run, run_id, device=self.device)

    def arguments(self) -> list[str]:
        """Return what tells an agent process who it is."""
        members = ["--members", ",".join(map(str, self.members))] if self.members else []
        return [
            *("--device", str(self.device), "--tokens", str(self.tokens), "--capacity", str(self.capacity)),
            *members,
        ]


Address = SeatAddress | HostAddress


def ask(directory: DeviceDirectory, run: str, address: Address, request: pb.Request) -> pb.Answer:
    """Put a question to the device's agent process; start the process if none runs, or if it ends before it answers.

    Raises AgentError, and DeviceError if the device directory cannot be made or its path is too long.
    """
    directory.check_socket()
    directory.make()
    killed_before = killed()
    for attempt in range(1, _ATTEMPTS + 1):
        _ensure_running(directory, run, address)
        with (
            reached(directory.socket) as socket,
            grpc.insecure_channel(grpc_target(socket), options=SOCKET_OPTIONS) as channel,
        ):
            stub = agent_pb2_grpc.AgentServiceStub(channel)  # type: ignore[no-untyped-call]
            try:
                answer: pb.Answer = stub.Handle(request)
                return answer
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt == _ATTEMPTS:
                    short = "; memory has probably run out" if killed() > killed_before else ""
                    raise AgentError(f"{address.name}: {error.details()}{short}") from None
        time.sleep(_PAUSE)
    raise AssertionError("the last attempt returns or raises")


def _ensure_running(directory: DeviceDirectory, run: str, address: Address) -> None:
    if not directory.lock():  # another process holds it: the agent runs, or is about to listen
        _wait_for_socket(directory, None)
        return
    directory.unlock()
    directory.socket.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-P", "-m", "client.resident"),
        *("--run", run, "--run-id", directory.run_id, "--envproxy", address.envproxy),
        *address.arguments(),
        *_transport_arguments(address.transport),
        *_watch_arguments(),
    ]
    # PPS_HOME: ours may be relative to another folder than the process works in
    environment = {**os.environ, "PPS_HOME": str(directory.home), "OMP_NUM_THREADS": "1", "GRPC_VERBOSITY": "NONE"}
    with open(directory.log, "ab") as log, open(os.devnull, "rb") as nothing:
        files = [nothing.fileno(), log.fileno(), log.fileno()]
        process = fork(command, environment, directory.path, files) or subprocess.Popen(
            command,
            stdin=nothing,
            stdout=log,
            stderr=log,
            cwd=directory.path,
            env=environment,
            start_new_session=True,  # it outlives this ClientApp
        )
    _wait_for_socket(directory, process)


def _wait_for_socket(directory: DeviceDirectory, process: subprocess.Popen[bytes] | Fork | None) -> None:
    """Return when the agent listens. Raises AgentError with its last words if it ends or takes too long."""
    deadline = time.monotonic() + _START_LIMIT
    while not directory.socket.exists():
        ended = process.poll() is not None if process else _unlocked(directory)
        if ended or time.monotonic() > deadline:
            raise AgentError(f"the agent process did not start: {_last_words(directory.log)} (see {directory.log})")
        time.sleep(0.05)


def _unlocked(directory: DeviceDirectory) -> bool:
    if directory.lock():
        directory.unlock()
        return True
    return False


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing"


def _transport_arguments(transport: Transport) -> list[str]:
    if transport.root_certificates is not None:
        return ["--root-certificates", str(transport.root_certificates)]
    return ["--insecure"] if transport.insecure else []


def _watch_arguments() -> list[str]:
    """The SuperNode that started us, by our environment or among our ancestors, if one did."""
    if os.environ.get(SUPERNODE):
        return ["--watch", os.environ[SUPERNODE]]
    for ancestor in psutil.Process().parents():
        try:
            if any(Path(word).name == "flower-supernode" for word in ancestor.cmdline()[:2]):
                return ["--watch", str(ancestor.pid)]
        except psutil.Error:
            continue
    return []
