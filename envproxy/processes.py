"""An env proxy of several processes on one port: each plays some of the arenas, on a core of its own.

The processes listen on the same addresses (SO_REUSEPORT), so the system gives each connection to one of them. A stream
that comes to another process than its arena's is told so, and its client connects again (`envproxy.calls.ELSEWHERE`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any, Final

from envproxy.certificates import ServerCertificate, credentials_of
from envproxy.hosting import HostedArena
from envproxy.server import EnvProxyServer, ProcessEndedError, ProxyCounters
from operations.listening import Address

_PATIENCE: Final = 10.0  # seconds for an answer of a process
_END_LIMIT: Final = 5.0  # seconds for the end of a process
_CHECK_EVERY: Final = 1.0  # seconds between two checks that a process still serves


class EnvProxyProcesses:
    """Several processes that serve arenas until they are stopped. They are forked: start no thread, no gRPC before."""

    def __init__(
        self,
        arenas: Sequence[HostedArena],
        addresses: Sequence[Address],
        certificate: ServerCertificate | None,
        processes: int,
    ) -> None:
        """Start serving, over TLS with a `certificate`. Raises OSError if an address cannot be listened on."""
        self._processes: list[ForkProcess] = []
        self._connections: list[Connection[Any, Any]] = []
        self._asking = threading.Lock()
        context = multiprocessing.get_context("fork")
        for number in range(processes):
            ours, theirs = context.Pipe()
            self._connections.append(ours)
            here = [arena.name for arena in arenas[number::processes]]
            process = context.Process(
                target=_work,
                args=(theirs, tuple(self._connections), arenas, here, addresses, certificate),
                name=f"envproxy-{number}",
                daemon=True,
            )
            process.start()
            theirs.close()
            self._processes.append(process)
        try:
            for number in range(processes):
                self._answer(number, None)
        except BaseException:
            self.stop()
            raise

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes if process.pid is not None]

    def check(self) -> None:
        """Raise ProcessEndedError if a process has ended."""
        for number, process in enumerate(self._processes):
            if process.exitcode is not None:
                raise ProcessEndedError(
                    f"process {number} of the env proxy (pid {process.pid}) ended, exit code {process.exitcode}; "
                    "start the env proxy again"
                )

    def counters(self) -> ProxyCounters:
        """Return what there is to count, as it is now. Raises ProcessEndedError."""
        total = ProxyCounters()
        with self._asking:
            for connection in self._connections:
                while connection.poll():  # an answer that came too late
                    connection.recv()
                connection.send("counters")
            for number in range(len(self._processes)):
                total.add(self._answer(number, _PATIENCE))
        return total

    def reload(self) -> None:
        """Let every process look at its certificate."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.send("reload")

    def stop(self, grace: float | None = None) -> None:
        """End all processes; streams that have not ended after `grace` seconds are cancelled."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.send(("stop", grace))
            connection.close()
        for process in self._processes:
            process.join(_END_LIMIT)
            if process.exitcode is None:
                process.kill()
                process.join()

    def _answer(self, number: int, patience: float | None) -> Any:
        """Raises ProcessEndedError if there is none."""
        connection = self._connections[number]
        try:
            if not connection.poll(patience):
                raise ProcessEndedError(f"process {number} of the env proxy does not answer")
            answer = connection.recv()
        except (EOFError, OSError):
            raise ProcessEndedError(f"process {number} of the env proxy ended; its log says why") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _work(
    parent: Connection[Any, Any],
    others: Sequence[Connection[Any, Any]],
    arenas: Sequence[HostedArena],
    here: Sequence[str],
    addresses: Sequence[Address],
    certificate: ServerCertificate | None,
) -> None:
    """Serve until the parent closes its end of the connection, or ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the parent hears them
        signal.signal(number, signal.SIG_IGN)
    for other in others:  # the parent's ends: while one is open here, another process does not see the parent end
        other.close()
    try:
        server = EnvProxyServer(arenas, addresses, credentials_of(certificate), here)
    except OSError as error:
        parent.send(error)
        return
    parent.send(None)
    with contextlib.suppress(EOFError, OSError, ProcessEndedError):
        while True:
            server.check()
            if not parent.poll(_CHECK_EVERY):
                continue
            match parent.recv():
                case "counters":
                    parent.send(server.counters())
                case "reload" if certificate is not None:
                    certificate.reload(at_once=True)
                case ("stop", float(grace)):
                    server.stop(grace)
    server.stop()
    for arena in arenas:
        if arena.name in here:
            arena.close()
