"""Plays the battles of one slot through SMAC: a program of its own, under an interpreter of its own.

    python worker.py CHANNEL LIFELINE     two inherited sockets, by their descriptors

It needs the standard library, numpy and SMAC, and Python 3.8 or later: SMAC's own requirements (protobuf below 3.21)
cannot be in one environment with Flower's. Nothing here imports the rest of the project.

It is two processes. The keeper, which is started, makes a temporary directory and the player, which loads SMAC and
starts the game, in a process group of its own. When the lifeline is shut (by the env proxy, or by its death) or the
player ends, the keeper kills all that is left, says on the lifeline what the player said last, removes the directory
and ends. A player whose keeper was killed does so itself. So no process and no file outlives an env proxy, however
that ends.

The channel carries messages of one kind byte, a length and a body:

    env proxy -> player     ORDERS (JSON, once), RESET, ACT (uint8 [N]), QUIT
    player -> env proxy     VIEW (HEADER and arrays) after RESET and ACT; FAILED (what failed, one line) and the end
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NoReturn

ORDERS, RESET, ACT, QUIT, VIEW, FAILED = b"O", b"R", b"A", b"Q", b"V", b"F"

# reward, terminated, truncated, won, game loops since the game was made, bytes of memory of player and game. Behind it:
# obs float32 [N, o], availability uint8 [N, a], state float32 [s], and where frames are ordered float32 [U, 7].
HEADER = struct.Struct("<d???IQ")
# Of each unit, allies then enemies. The type column is that of the one-hot, 0 where a map's teams are fixed.
FRAME = ("x", "y", "health", "shield", "energy", "cooldown", "type_column")

_FRAMING = struct.Struct("<cI")
_LONGEST = 64 * 1024 * 1024  # bytes of a body
_LAST_WORDS = 4000  # bytes of the log, which may be large
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
_DIRECTORY = "pps-qmix-smac-"
GAME_LIMIT = 2**19  # loops; the game ends there by itself, and SMAC would make up an end of the battle


class GameFailedError(Exception):
    """The game or SMAC failed, and this environment must not be used again; the message is one line."""


# --- the channel ------------------------------------------------------------------------------------------------------


def send(channel: socket.socket, kind: bytes, body: bytes = b"") -> None:
    """Raises OSError if the other end is gone or does not read within the socket's timeout."""
    channel.sendall(_FRAMING.pack(kind, len(body)) + body)


def receive(channel: socket.socket, deadline: float | None = None) -> tuple[bytes, bytes]:
    """Return kind and body of the next message.

    Raises EOFError at the end of the stream, TimeoutError after `deadline` (time.monotonic()), OSError.
    """
    kind, length = _FRAMING.unpack(_exactly(channel, _FRAMING.size, deadline))
    if length > _LONGEST:
        raise OSError(f"a message of {length} bytes; expected at most {_LONGEST}")
    return kind, _exactly(channel, length, deadline)


def _exactly(channel: socket.socket, size: int, deadline: float | None) -> bytes:
    content = bytearray(size)
    view, got = memoryview(content), 0
    while got < size:
        if deadline is not None:
            channel.settimeout(max(deadline - time.monotonic(), 1e-6))
        try:
            more = channel.recv_into(view[got:])
        except socket.timeout:  # noqa: UP041 - another class before Python 3.10
            raise TimeoutError("no answer in time") from None
        if more == 0:
            raise EOFError("the stream ended")
        got += more
    return bytes(content)


# --- the keeper -------------------------------------------------------------------------------------------------------


def keep(channel: socket.socket, lifeline: socket.socket) -> None:
    """Make the player, wait for its end or ours, and clear up.

    Says {"player", "folder"} on the lifeline at first, {"exit", "said"} at last, each a line of JSON.
    """

    def stop(*_: object) -> None:
        with contextlib.suppress(OSError):
            lifeline.shutdown(socket.SHUT_RD)  # nothing is raised: several signals may come, at any point

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # a game whose player was killed is ours to end
    folder, player = "", 0
    report: dict[str, Any] = {}
    try:
        folder = tempfile.mkdtemp(prefix=_DIRECTORY)
        running, held = os.pipe()  # at its end when the player has ended
        player = os.fork()
        if player == 0:
            lifeline.close()
            os.close(running)
            _be_player(channel, folder)
        with contextlib.suppress(OSError):  # it did so itself
            os.setpgid(player, player)
        channel.close()
        os.close(held)
        lifeline.sendall(_line({"player": player, "folder": folder}))
        ends = select.poll()  # select itself takes no descriptor above 1023
        for descriptor in (lifeline.fileno(), running):
            ends.register(descriptor, select.POLLIN)
        ends.poll()
    finally:
        if player:
            report = {"exit": _end_all(player), "said": _last_words(folder)}
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        lifeline.sendall(_line(report))


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"


def _end_all(player: int) -> int:
    """Kill the player's group and all other descendants; return the player's exit code, negative for a signal."""
    status = 0
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(player, signal.SIGKILL)
    while True:
        try:
            pid, waited = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == player:
            status = -os.WTERMSIG(waited) if os.WIFSIGNALED(waited) else os.WEXITSTATUS(waited)
        if pid == 0:
            for child in _children():  # they have left the group, and lost their parent
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.005)
    return status


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _last_words(folder: str) -> str:
    try:
        with open(os.path.join(folder, "log"), "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _LAST_WORDS, 0))
            return file.read(_LAST_WORDS).decode(errors="replace")
    except OSError:
        return ""


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


# --- the player -------------------------------------------------------------------------------------------------------


def _be_player(channel: socket.socket, folder: str) -> NoReturn:
    """Play until told to quit; all that it, SMAC and the game say goes to the log in `folder`."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, lambda *_: _end_with_game(folder))
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = None  # read the variable again
        log = os.open(os.path.join(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        _play(channel)
        code = 0
    except EOFError:  # the env proxy is gone, and the keeper may be, too
        _end_with_game(folder)
    except BaseException as error:
        try:
            send(channel, FAILED, _one_line(error).encode())
        except OSError:
            _end_with_game(folder)
    finally:
        os._exit(code)  # the keeper ends the game; SMAC's exit handlers may wait for it


def _end_with_game(folder: str) -> NoReturn:
    """Do what the keeper would do, which may have been killed."""
    for child in _children():
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)  # it writes into the directory until it has ended
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)
    os._exit(1)  # not reached


def _one_line(error: BaseException) -> str:
    what = str(error) if isinstance(error, GameFailedError) else f"{type(error).__name__}: {error}"
    return " ".join(what.split())[:1000]


def _play(channel: socket.socket) -> None:
    kind, body = receive(channel)
    if kind != ORDERS:
        raise GameFailedError(f"the first message is {kind!r}; expected orders")
    battle = _Battle(json.loads(body.decode()))
    while True:
        kind, body = receive(channel)
        if kind == RESET:
            send(channel, VIEW, battle.reset())
        elif kind == ACT:
            send(channel, VIEW, battle.step(list(body)))
        elif kind == QUIT:
            battle.close()
            return
        else:
            raise GameFailedError(f"a message of kind {kind!r}")


class _Battle:
    """One battle after the other of an unmodified `StarCraft2Env` of SMAC or SMACv2, until something fails."""

    def __init__(self, orders: dict[str, Any]) -> None:
        from absl import flags  # noqa: PLC0415 - what this process is for

        module = "starcraft2" if orders["capabilities"] is None else "wrapper"
        package = importlib.import_module(f"{orders['package']}.env.starcraft2.{module}")
        if not flags.FLAGS.is_parsed():
            flags.FLAGS([sys.argv[0]])
        self._frames = bool(orders["frames"])
        self._enemy_hp = orders["enemy_hp"]
        self._draws = orders["capabilities"] is not None
        of_game = {"map_name": orders["map"], "seed": orders["seed"], **orders["options"]}
        if self._draws:  # teams and places, for each battle
            wrapper = package.StarCraftCapabilityEnvWrapper(capability_config=orders["capabilities"], **of_game)
            self._env, self._begin = wrapper.env, wrapper.reset
        else:
            self._env = package.StarCraft2Env(**of_game)
            self._begin = self._env.reset
        # On an error SMAC would start a second game, and leave one of the two behind.
        self._env.full_restart = self._refuse_restart

    def reset(self) -> bytes:
        self._begin()
        self._set_max_reward()
        return self._view(0.0, False, False, False)

    def step(self, actions: Sequence[int]) -> bytes:
        env = self._env
        cut = env.timeouts
        reward, terminated, info = env.step(list(actions))
        if not info:
            raise GameFailedError("SMAC lost the game in a step")
        if env._obs.player_result:
            raise GameFailedError("the game ended by itself")
        truncated = bool(env.timeouts > cut)
        return self._view(float(reward), bool(terminated) and not truncated, truncated, bool(info["battle_won"]))

    def close(self) -> None:
        self._env.close()

    def _refuse_restart(self) -> NoReturn:
        error = sys.exc_info()[1]
        raise GameFailedError("the game did not answer as expected" if error is None else _one_line(error))

    def _set_max_reward(self) -> None:
        """What all enemies' deaths and a win pay: SMAC adds to it in each pass over units that are still appearing."""
        env, whole = self._env, self._enemy_hp
        if whole is None:
            whole = sum(unit.health_max + unit.shield_max for unit in env.enemies.values())
        env.max_reward = env.n_enemies * env.reward_death_value + env.reward_win + whole

    def _view(self, reward: float, terminated: bool, truncated: bool, won: bool) -> bytes:
        import numpy as np  # noqa: PLC0415 - the keeper does without

        env = self._env
        parts = [
            HEADER.pack(reward, terminated, truncated, won, env._obs.observation.game_loop, self._memory()),
            np.asarray(env.get_obs(), np.float32).tobytes(),
            np.asarray(env.get_avail_actions(), np.uint8).tobytes(),
            np.asarray(env.get_state(), np.float32).tobytes(),
        ]
        if self._frames:
            units = [*((unit, True) for unit in env.agents.values()), *((unit, False) for unit in env.enemies.values())]
            shown = [_frame(unit, env.get_unit_type_id(unit, ally) if self._draws else 0) for unit, ally in units]
            parts.append(np.array(shown, np.float32).tobytes())
        return b"".join(parts)

    def _memory(self) -> int:
        """Bytes of this process and of the game."""
        process = self._env._sc2_proc
        game = process.pid if process is not None else None
        return _resident("self") + (_resident(str(game)) if game else 0)


def _frame(unit: Any, column: int) -> tuple[float, ...]:
    if unit.health <= 0:  # SMAC keeps what a dead unit was shown with last
        return (unit.pos.x, unit.pos.y, 0.0, 0.0, 0.0, 0.0, column)
    return (unit.pos.x, unit.pos.y, unit.health, unit.shield, unit.energy, unit.weapon_cooldown, column)


def _resident(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def main(channel: str, lifeline: str) -> None:
    """Keep a player until its end or ours."""
    keep(socket.socket(fileno=int(channel)), socket.socket(fileno=int(lifeline)))


if __name__ == "__main__":
    _here = os.path.dirname(os.path.abspath(__file__))  # its modules are not meant for other programs
    sys.path[:] = [_path for _path in sys.path if os.path.abspath(_path or ".") != _here]
    main(*sys.argv[1:])
