"""The device directory: what an agent keeps between rounds, and across crashes.

$PPS_HOME/<run>/<run id>/seat-<i>/, of a run of several teams team-<t>-seat-<i>/
    agent.safetensors   network, target network, optimiser
    agent.json          counters, random states, settings, format version
    buffer/*.npy        the episode buffer, a memory-mapped ring
    lock                held (flock) by the one process that may write here
    agent.sock          where the resident agent process listens
    agent.log           what it logged
    counters.json       what it has done since its start, for monitoring

A name may be that of several runs, of other federations for one; the id in their run.json is of one run alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save

from operations.files import replace_file
from operations.home import HomeError, made_home, make_folder, pps_home
from operations.locks import lock
from operations.members import Member
from operations.sockets import LONGEST_PATH, can_listen, reached

FORMAT = 1
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # as the settings have it
_RUN_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_MEMBER = re.compile(r"(?:team-(\d+)-)?seat-(\d+)")
_SOME_ID = "0" * 16  # as long as the ids that are made


class DeviceError(HomeError):
    """The device directory cannot be used; the message says why and what to do."""


def is_run_name(name: str) -> bool:
    """Say whether a run may be called so: of what is in $PPS_HOME, the others are no run's."""
    return _RUN_NAME.fullmatch(name) is not None


def is_run_id(text: str) -> bool:
    """Say whether a run may have this id."""
    return _RUN_ID.fullmatch(text) is not None


def device_directories(home: Path) -> list[DeviceDirectory]:
    """Return all device directories in $PPS_HOME, by run, team and seat."""
    found = []
    for path in [*home.glob("*/*/*seat-[0-9]*"), *home.glob("*/*/device-[0-9]*/*seat-[0-9]*")]:
        run, run_id = path.relative_to(home).parts[:2]
        member = _MEMBER.fullmatch(path.name)
        if is_run_name(run) and is_run_id(run_id) and member is not None and path.is_dir():
            team, seat = member.groups()
            device = path.parent.name.removeprefix("device-") if path.parent.parent.name == run_id else None
            key = (run, run_id, -1 if team is None else int(team), int(seat), -1 if device is None else int(device))
            found.append(key)
    return [
        DeviceDirectory(home, run, run_id, seat, None if team < 0 else team, None if device < 0 else device)
        for run, run_id, team, seat, device in sorted(found)
    ]


def held_members(device: DeviceDirectory) -> list[Member]:
    """Return the members that have a directory on a device that holds several, in order."""
    found = [_MEMBER.fullmatch(path.name) for path in device.path.glob("*seat-[0-9]*")]
    return sorted(Member(int(each[1] or 0), int(each[2])) for each in found if each is not None)


def check_devices(run: str) -> None:
    """Raise HomeError if no device of a run, whose id is yet to be made, can have its directory in $PPS_HOME.

    $PPS_HOME is created if necessary.
    """
    DeviceDirectory(pps_home(), run, _SOME_ID, 0).check_socket()
    made_home()


class DeviceDirectory:
    """`$PPS_HOME/<run>/<run id>/seat-<i>/`, or `team-<t>-seat-<i>/`. Made when it is first used."""

    def __init__(
        self,
        home: Path,
        run: str,
        run_id: str,
        seat: int | None = None,
        team: int | None = None,
        device: int | None = None,
    ) -> None:
        """`team` is None in a run of one team.

        A device that holds several members has its number, `device`: its own directory is the one without a `seat`,
        and its members' are in it.

        Raises DeviceError if `run` or `run_id`, which a server says, would lead elsewhere.
        """
        if not is_run_name(run):
            raise DeviceError(f"a run is called {run[:100]!r}; expected up to 100 letters, digits and ._-")
        if not is_run_id(run_id):
            raise DeviceError(f"a run has the id {run_id[:100]!r}; expected up to 64 letters and digits")
        self.home = home
        self.run, self.run_id, self.seat, self.team = run, run_id, seat, team
        self.device = device
        own = home / run / run_id / f"device-{device}" if device is not None else home / run / run_id
        member = f"seat-{seat}" if team is None else f"team-{team}-seat-{seat}"
        self.path = own if seat is None else own / member
        self.buffer = self.path / "buffer"
        self.counters = self.path / "counters.json"
        process = self.path if device is None else own  # the agent process is the device's
        self.socket = process / "agent.sock"
        self.log = process / "agent.log"
        self._lock: int | None = None

    def make(self) -> None:
        """Create the directory. Raises HomeError if that fails."""
        make_folder(self.path, "the device directory")

    def check_socket(self) -> None:
        """Raise DeviceError if no socket can be in the directory. On Linux one always can."""
        if not can_listen(self.socket):
            raise DeviceError(
                f"the path {self.socket} is longer than the {LONGEST_PATH} bytes a socket may have on this system, or "
                "has a comma; set PPS_HOME to another one"
            )

    def answers(self) -> bool:
        """Say whether the agent process listens, without the lock: who asks for that may keep it from a process."""
        try:
            with reached(self.socket) as path, socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                connection.connect(os.fsencode(path))
        except OSError:
            return False
        return True

    def lock(self) -> bool:
        """Become the one writer, until this process ends or `unlock`. False if another process is."""
        descriptor = lock(self.path / "lock")
        if descriptor is None:
            return False
        self._lock = descriptor
        return True

    def unlock(self) -> None:
        """Let others write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def save(self, tensors: dict[str, NDArray[Any]], state: dict[str, Any]) -> None:
        """Keep the agent's state, or leave the old one as it was. Raises DeviceError (a full disk, say).

        One file holds the tensors and names the state that goes with them, so the pair is never mixed.
        """
        document = {"format": FORMAT, **state}
        try:
            replace_file(self.path / "agent.safetensors", save(tensors, {"state": json.dumps(document)}))
            replace_file(self.path / "agent.json", json.dumps(document, indent=1).encode())
        except OSError as error:
            raise DeviceError(f"cannot save the agent's state in {self.path}: {error.strerror}") from None

    def load(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """Return what was last saved, or None if nothing was. Raises DeviceError if it cannot be read."""
        path = self.path / "agent.safetensors"
        try:
            with safe_open(path, framework="numpy") as file:
                state: dict[str, Any] = dict(json.loads(file.metadata()["state"]))
            tensors: dict[str, NDArray[Any]] = load_file(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DeviceError(f"cannot read {path}: {error.strerror or error}") from None
        except Exception as error:
            raise DeviceError(f"{path} is damaged ({error}); remove {self.path} to begin afresh") from None
        if state.get("format") != FORMAT:
            raise DeviceError(
                f"{path} has format {state.get('format')}, this version reads {FORMAT}; "
                f"remove {self.path} to begin afresh"
            )
        return tensors, state

    def forget(self) -> None:
        """Remove the agent's state and buffer."""
        for name in ("agent.safetensors", "agent.json"):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.buffer, ignore_errors=True)
