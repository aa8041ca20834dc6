"""The processes that a federated run on one machine consists of: starting, watching and ending them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import psutil

from operations import proxies
from operations.memory import killed
from operations.tied import tied

_END_LIMIT = 8.0  # seconds that a process has to end by itself
_LAST_LINES = 15
_COLOUR = re.compile(r"\x1b\[[\d;]*m")  # Flower's log has some in files, too

TELEMETRY_OFF = {"FLWR_TELEMETRY_ENABLED": "0"}  # in the environment of every Flower process
FLOWER_COMMANDS = ("flwr", "flower-superlink", "flower-supernode", "flower-superexec")


class PartFailedError(Exception):
    """A part of the run ended when it should not have, or did not start; the message has its last words."""


class StopError(PartFailedError):
    """The run failed in a way that another try would not mend; the message says what would."""


class Part:
    """One process with its log file, in a process group of its own: a Ctrl-C reaches only the command.

    It is tied to the thread that starts it (`operations.tied`): a command that is killed leaves no part behind.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path | None,
        environment: Mapping[str, str] | None = None,
        open_files: Sequence[int] = (),
    ) -> None:
        """What the process says goes to `log`, or to our stderr if there is none.

        `open_files` are descriptors that the process keeps open as long as it lives.
        """
        self.name = name
        self.log = log
        self._command = tied(command)
        self._open_files = tuple(open_files)
        self.environment = {**proxies.environment(), **(environment or {})}
        # flower-superlink and flower-supernode start their helpers by name
        folders = [Path(sys.executable).parent, Path(flower_command("flower-superexec")).parent]
        named = self.environment.get("PATH", os.defpath)
        self.environment["PATH"] = os.pathsep.join([*dict.fromkeys(map(str, folders)), named])
        self._killed_before = 0
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def ending(self) -> str:
        """How the process ended, as words: its exit code, and the cause if that is probably a lack of memory."""
        return f"exit code {self.exit_code}{self.out_of_memory}"

    @property
    def out_of_memory(self) -> str:
        """Words for the cause if the kernel has probably ended the process for lack of memory, else none."""
        if self.exit_code == -signal.SIGKILL and killed() > self._killed_before:
            return "; memory has probably run out: the kernel has ended a process for that"
        return ""

    def restart(self) -> None:
        """Start the same command again, after it has ended."""
        self._process = self._start()

    def check(self) -> None:
        """Raise PartFailedError if the process has ended."""
        if not self.running:
            raise PartFailedError(f"{self.name} ended ({self.ending}). {self.last_words()}")

    def said(self) -> str:
        """Return what is in the log."""
        return self.log.read_text(errors="replace") if self.log is not None and self.log.exists() else ""

    def last_words(self) -> str:
        """Return the end of the log, and where the rest is."""
        if self.log is None:
            return "Its last words are above."
        lines = _COLOUR.sub("", self.said()).splitlines()
        said = "\n  ".join(line for line in lines[-_LAST_LINES:] if line.strip())
        return f"Its last words are in {self.log}:\n  {said or '(none)'}"

    def wait(self, limit: float | None = None) -> None:
        """Return when the process has ended, or after `limit` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(limit)

    def ask_to_end(self) -> None:
        """Let the process begin to end by itself."""
        if self.running:
            self._process.terminate()

    def end(self) -> None:
        """End the process and all it has started in its group, by force if it does not listen."""
        self.ask_to_end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_LIMIT)
        self.kill()

    def kill(self) -> None:
        """End the process and its group by force."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        self._killed_before = killed()
        with open(self.log, "ab") if self.log is not None else os.fdopen(os.dup(sys.stderr.fileno()), "wb") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                pass_fds=self._open_files,
            )


def flower_command(name: str) -> str:
    """Return the path of one of Flower's commands, which need not be beside the interpreter (pip install --user).

    Raises PartFailedError if it is not installed.
    """
    beside = Path(sys.executable).with_name(name)
    if beside.exists():
        return str(beside)
    with contextlib.suppress(PackageNotFoundError):
        for file in files("flwr") or ():
            if file.name == name and (found := Path(os.path.normpath(file.locate()))).exists():
                return str(found)
    if by_name := shutil.which(name):
        return by_name
    raise PartFailedError(
        f"Flower's command {name} is not installed; pip install --force-reinstall flwr, or add its folder to PATH"
    )


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_until_listening(part: Part, port: int, limit: float) -> None:
    """Return when `part` accepts connections on a loopback port. Raises PartFailedError if it ends or takes longer."""
    deadline = time.monotonic() + limit
    while True:
        part.check()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise PartFailedError(f"{part.name} does not listen after {limit:.0f} s. {part.last_words()}") from None
        time.sleep(0.1)


def wait_until_made(part: Part, path: Path, limit: float) -> None:
    """Return when `part` has made a file or socket. Raises PartFailedError if it ends or takes longer."""
    deadline = time.monotonic() + limit
    while not path.exists():
        part.check()
        if time.monotonic() > deadline:
            raise PartFailedError(f"{part.name} is not ready after {limit:.0f} s. {part.last_words()}")
        time.sleep(0.1)


def end_detached(home: Path) -> None:
    """End what has left the groups of a run's parts: the processes whose FLWR_HOME is in `home`.

    Agents and ServerApps would end by themselves when they miss those they speak to, but not at once.
    """
    while left := _ask_to_end(home):  # again: one may have been about to start
        for survivor in psutil.wait_procs(left, timeout=_END_LIMIT)[1]:
            with contextlib.suppress(psutil.Error):
                survivor.kill()


def _ask_to_end(home: Path) -> list[psutil.Process]:
    """Return those that there were."""
    found = []
    for process in psutil.process_iter(["environ", "status"]):
        theirs = (process.info["environ"] or {}).get("FLWR_HOME", "")  # none of another user's
        if Path(theirs).is_relative_to(home) and process.info["status"] != psutil.STATUS_ZOMBIE:
            with contextlib.suppress(psutil.Error):  # it has just ended
                process.terminate()
                found.append(process)
    return found
