"""One game and its worker, seen from the env proxy: start, ask, hear, end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import MapSpec
from envproxy.backends.smac.worker import ACT, FAILED, FRAME, HEADER, ORDERS, QUIT, RESET, VIEW, receive, send

_WORKER: Final = Path(__file__).with_name("worker.py")
_SEND_LIMIT: Final = 5.0  # seconds; a worker that does not read for so long is no longer one
_LOGGED: Final = re.compile(r"\w+:absl:|[IWEF]\d{4} ")
_SHOWN: Final = 300  # characters of last words


class GameLostError(Exception):
    """The game or its worker failed, and must not be used again. The message is one line."""


@dataclass(frozen=True)
class View:
    """What one battle looks like after a reset or a step."""

    reward: float
    terminated: bool
    truncated: bool
    won: bool
    loops: int  # game loops since the game was made
    memory: int  # bytes, of the game and its worker
    obs: NDArray[np.float32]  # [N, obs_size]
    available: NDArray[np.bool_]  # [N, n_actions]
    state: NDArray[np.float32]  # [state_size]
    frames: NDArray[np.float32]  # [U, len(FRAME)], or [0, len(FRAME)] unless ordered


class Game:
    """A worker process with a game of its own: in its own session, with its own temporary directory."""

    def __init__(self, interpreter: str, orders: Mapping[str, Any], spec: MapSpec) -> None:
        """Start the worker, which starts the game at the first `reset`. Raises GameLostError."""
        self._spec = spec
        with contextlib.ExitStack() as near, contextlib.ExitStack() as far:
            try:
                self._channel, far_channel = _socket_pair(near, far)
                self._lifeline, far_lifeline = _socket_pair(near, far)
                self._complaints = near.enter_context(tempfile.TemporaryFile())  # of the keeper
            except OSError as error:  # too many open files, or no place for a temporary one
                where = f": {error.filename}" if error.filename else ""
                raise GameLostError(f"cannot start a worker: {error.strerror}{where}") from None
            descriptors = (far_channel.fileno(), far_lifeline.fileno())
            try:
                self._keeper = subprocess.Popen(
                    [interpreter, str(_WORKER), *map(str, descriptors)],
                    stdin=subprocess.DEVNULL,
                    stdout=self._complaints,
                    stderr=self._complaints,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
            except OSError as error:
                raise GameLostError(f"cannot run {interpreter}: {error.strerror}") from None
            near.pop_all()  # `end` closes them
        self._ended = False
        with contextlib.suppress(GameLostError):  # `reset` says so, when there is a game to `end`
            self._ask(ORDERS, json.dumps(dict(orders)).encode())

    @property
    def pid(self) -> int:
        """Of the keeper, which leads the session."""
        return self._keeper.pid

    def reset(self) -> None:
        """Ask for the next battle; `view` hears of it. Raises GameLostError."""
        self._ask(RESET)

    def act(self, actions: NDArray[np.uint8]) -> None:
        """Ask for a step with available actions [N]; `view` hears of it. Raises GameLostError."""
        self._ask(ACT, actions.tobytes())

    def view(self, deadline: float) -> View:
        """Wait for what the last request led to. Raises GameLostError, also at the deadline (time.monotonic())."""
        try:
            kind, body = receive(self._channel, deadline)
        except TimeoutError:
            raise GameLostError("no answer in time") from None
        except (EOFError, OSError):
            raise GameLostError("the worker ended") from None
        if kind == FAILED:
            raise GameLostError(body.decode(errors="replace"))
        if kind != VIEW:
            raise GameLostError(f"the worker sent a message of kind {kind!r}")
        return self._read(body)

    def quit(self) -> None:
        """Ask the worker to close the game and to end; `end` waits for it."""
        with contextlib.suppress(GameLostError):
            self._ask(QUIT)

    def cut(self) -> None:
        """Have worker and game killed; do not wait. May be called while another thread waits in `view`."""
        with contextlib.suppress(OSError):
            self._lifeline.shutdown(socket.SHUT_WR)

    def end(self, deadline: float, limit: float) -> str:
        """Wait until `deadline` for a worker that was told to quit, then have all killed, within `limit` seconds.

        Returns the last words of worker and game, in one line. Nothing of them is left: no process, no directory.
        """
        if self._ended:
            return ""
        self._ended = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(max(deadline - time.monotonic(), 0.0))
        self.cut()
        killed_by = time.monotonic() + limit
        told = self._told(killed_by)
        try:
            self._keeper.wait(max(killed_by - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        if "exit" not in told:  # the keeper was killed itself, or hangs
            _clear_up(told)
        words = told.get("said", "") or self._complaint()
        for each in (self._channel, self._lifeline, self._complaints):
            each.close()
        return _last_line(words)

    def _ask(self, kind: bytes, body: bytes = b"") -> None:
        try:
            self._channel.settimeout(_SEND_LIMIT)
            send(self._channel, kind, body)
        except OSError:
            raise GameLostError("the worker ended") from None

    def _read(self, body: bytes) -> View:
        spec = self._spec
        n, o, a, s = spec.n_agents, spec.obs_size, spec.n_actions, spec.state_size
        sizes = (HEADER.size, 4 * n * o, n * a, 4 * s)
        rest = len(body) - sum(sizes)
        if rest < 0 or rest % (4 * len(FRAME)):
            raise GameLostError(
                f"this SMAC shows {len(body)} bytes of a battle of {spec.name}, expected {sum(sizes)}: another version"
            )
        header, obs, available, state = (
            body[at : at + size] for at, size in zip(np.cumsum((0, *sizes[:-1])).tolist(), sizes, strict=True)
        )
        reward, terminated, truncated, won, loops, memory = HEADER.unpack(header)
        return View(
            reward,
            terminated,
            truncated,
            won,
            loops,
            memory,
            obs=np.frombuffer(obs, np.float32).reshape(n, o),
            available=np.frombuffer(available, np.bool_).reshape(n, a),
            state=np.frombuffer(state, np.float32),
            frames=np.frombuffer(body[sum(sizes) :], np.float32).reshape(-1, len(FRAME)),
        )

    def _told(self, deadline: float) -> dict[str, Any]:
        """Read all that the keeper has said on the lifeline, until it closes it or the deadline."""
        said = b""
        with contextlib.suppress(OSError):
            while True:
                self._lifeline.settimeout(max(deadline - time.monotonic(), 1e-3))
                more = self._lifeline.recv(65536)
                if not more:
                    break
                said += more
        told: dict[str, Any] = {}
        for line in said.splitlines():
            with contextlib.suppress(ValueError):  # cut off
                told.update(json.loads(line))
        return told

    def _complaint(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace")


def _socket_pair(near: contextlib.ExitStack, far: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets, one for each of the stacks to close."""
    ours, theirs = socket.socketpair()
    return near.enter_context(ours), far.enter_context(theirs)


def _clear_up(told: Mapping[str, Any]) -> None:
    """Do what the keeper could not: end the player's group and remove its directory."""
    with contextlib.suppress(KeyError, ProcessLookupError, PermissionError):
        os.killpg(int(told["player"]), signal.SIGKILL)
    if folder := told.get("folder"):
        shutil.rmtree(folder, ignore_errors=True)


def _last_line(words: str) -> str:
    """Return the last line that is the game's; pysc2's own of the log tell less."""
    lines = [line.strip() for line in words.splitlines() if line.strip() and not _LOGGED.match(line)]
    return lines[-1][:_SHOWN] if lines else ""
