"""The device directory: whole or not at all, for one process at a time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from safetensors.numpy import load, save

import client.device as module
import operations.sockets
from client.device import DeviceDirectory, DeviceError, device_directories, held_members, is_run_name
from operations.files import replace_file
from operations.home import HomeError, pps_home
from operations.members import Member
from operations.sockets import reached
from tests.nasty import NOT_UTF8, names

STATE = {"run": "r", "round": 3, "explore": {"state": 2**127 + 1}, "rewards": [0.1, 1 / 3]}
TENSORS = {
    "online.rnn.weight_hh": np.array([[np.nan, -0.0], [np.inf, 1e-40]], np.float32),
    "adam.step.fc1.bias": np.array(7.0, np.float32),
    "empty": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def device(tmp_path: Path) -> DeviceDirectory:
    made = DeviceDirectory(tmp_path, "run", "id", 2)
    made.make()
    return made


def bits(tensors: dict[str, Any]) -> dict[str, tuple[Any, bytes]]:
    return {name: (tensor.shape, tensor.tobytes()) for name, tensor in tensors.items()}


# --- where ----------------------------------------------------------------------------------------------------


def test_it_is_under_home_by_run_id_and_seat_and_private(device: DeviceDirectory, tmp_path: Path) -> None:
    assert device.path == tmp_path / "run" / "id" / "seat-2"
    assert device.path.stat().st_mode & 0o777 == 0o700
    device.make()  # again does no harm


def test_home_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PPS_HOME", "here")
    assert pps_home() == tmp_path / "here"
    monkeypatch.setenv("PPS_HOME", "")
    assert pps_home() == Path.home() / ".pps-qmix"
    monkeypatch.setenv("PPS_HOME", "~/there/")
    assert pps_home() == Path.home() / "there"
    monkeypatch.setenv("PPS_HOME", "~no such user")
    assert pps_home() == tmp_path / "~no such user"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        HomeError,
        match=r"cannot make the device directory .*file/run/id/seat-0: Not a directory; name another .* in PPS_HOME$",
    ):
        DeviceDirectory(tmp_path / "file", "run", "id", 0).make()


def test_no_path_is_too_long_for_a_socket(tmp_path: Path) -> None:
    device = DeviceDirectory(tmp_path / ("ü" * 50) / "a,b", "r" * 100, "id", 0)
    device.check_socket()
    assert not device.answers()  # it is not there
    device.make()
    with reached(device.socket) as path, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fsencode(path))
        assert not device.answers()
        listener.listen()
        assert device.answers()


def test_where_one_is_it_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(operations.sockets, "_DESCRIPTORS", tmp_path / "none")  # as on another system
    DeviceDirectory(Path("/tmp"), "r" * 57, "id", 0).check_socket()
    for long in (
        DeviceDirectory(Path("/tmp"), "r" * 100, "id", 0),
        DeviceDirectory(Path("/tmp") / ("ü" * 50), "run", "id", 0),
    ):
        with pytest.raises(DeviceError, match=r"longer than the 104 bytes .*; set PPS_HOME to another one"):
            long.check_socket()


@given(name=names(NOT_UTF8))
def test_a_run_is_a_folder_in_home_or_none(name: str) -> None:
    if is_run_name(name):
        assert DeviceDirectory(Path("/home"), name, "id", 0).path == Path("/home", name, "id", "seat-0")
    else:
        with pytest.raises(DeviceError, match="expected up to 100 letters, digits and"):
            DeviceDirectory(Path("/home"), name, "id", 0)


@pytest.mark.parametrize("run_id", ["", ".", "..", "a/b", "/tmp", "a b", "x" * 65, "é"])
def test_a_run_id_cannot_lead_to_another_folder(run_id: str) -> None:
    with pytest.raises(DeviceError, match="expected up to 64 letters and digits"):
        DeviceDirectory(Path("/home"), "run", run_id, 0)


def test_all_directories_in_home_are_found_and_nothing_else(tmp_path: Path) -> None:
    for run, run_id, seat in (("b", "2", 10), ("b", "2", 9), ("b", "1", 0), ("a", "3", 0)):
        DeviceDirectory(tmp_path, run, run_id, seat).make()
    for other in ("a/seat-0/buffer", ".supernodes/seat-0", "tokens/main", "a b/1/seat-0", "a/.x/seat-0", "a/3/seat-x"):
        (tmp_path / other).mkdir(parents=True)
    found = [(each.run, each.run_id, each.seat) for each in device_directories(tmp_path)]
    assert found == [("a", "3", 0), ("b", "1", 0), ("b", "2", 9), ("b", "2", 10)]


# --- keeping --------------------------------------------------------------------------------------------------


def test_nothing_was_kept(device: DeviceDirectory) -> None:
    assert device.load() is None


def test_what_was_kept_comes_back_bit_for_bit(device: DeviceDirectory) -> None:
    device.save(TENSORS, STATE)
    kept = device.load()
    assert kept is not None
    assert bits(kept[0]) == bits(TENSORS)
    assert kept[1] == {"format": module.FORMAT, **STATE}
    assert json.loads((device.path / "agent.json").read_text()) == kept[1]
    device.save({"online.x": np.ones(1, np.float32)}, {"run": "r", "round": 4})
    kept = device.load()
    assert kept is not None
    assert list(kept[0]) == ["online.x"]
    assert kept[1]["round"] == 4


@pytest.mark.parametrize("fails", ["agent.safetensors", "agent.json"])
@pytest.mark.parametrize("where", ["write", "replace"])
def test_a_full_disk_never_mixes_two_rounds(
    device: DeviceDirectory, monkeypatch: pytest.MonkeyPatch, fails: str, where: str
) -> None:
    device.save({"w": np.zeros(3, np.float32)}, {"run": "r", "round": 1})
    real = replace_file

    def full(path: Path, content: bytes) -> None:
        if path.name != fails:
            real(path, content)
            return
        if where == "write":
            path.with_name(f".{path.name}.0123abcd").write_bytes(content[: len(content) // 2])
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as disk:
        disk.setattr(module, "replace_file", full)
        with pytest.raises(DeviceError, match=r"cannot save the agent's state in .*: No space left on device"):
            device.save({"w": np.ones(3, np.float32)}, {"run": "r", "round": 2})
    kept = device.load()
    assert kept is not None
    assert kept[0]["w"].tolist() == [float(kept[1]["round"] - 1)] * 3
    device.save({"w": np.full(3, 2.0, np.float32)}, {"run": "r", "round": 3})
    kept = device.load()
    assert kept is not None
    assert (kept[0]["w"].tolist(), kept[1]["round"]) == ([2.0] * 3, 3)


def test_a_kill_at_any_moment_leaves_one_of_two_rounds(device: DeviceDirectory) -> None:
    """A process that saves round after round is killed; what it leaves is one of them, whole."""
    program = (
        "import sys, numpy as np; from pathlib import Path; from client.device import DeviceDirectory\n"
        f"device = DeviceDirectory(Path({str(device.home)!r}), 'run', 'id', 2)\n"
        "for round_ in range(1, 10**9):\n"
        "    device.save({'w': np.full(50_000, round_, np.float32)}, {'round': round_})\n"
        "    print(round_, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        told = int(process.stdout.readline())
    process.kill()
    process.wait()
    kept = device.load()
    assert kept is not None
    assert kept[1]["round"] >= told
    assert set(kept[0]["w"].tolist()) == {float(kept[1]["round"])}


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:5],
        lambda content: content[: len(content) // 2],
        lambda content: b"\xff" * len(content),
        lambda content: content[:-4],
        lambda content: save(load(content)),  # no state in it
        lambda content: save(load(content), {"state": "[1]"}),
        lambda content: save(load(content), {"state": "not json"}),
    ],
)
def test_a_damaged_file_says_what_to_remove(device: DeviceDirectory, damage: Any) -> None:
    device.save(TENSORS, STATE)
    path = device.path / "agent.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DeviceError, match=r"agent.safetensors is damaged .*; remove .*seat-2 to begin afresh"):
        device.load()


def test_another_format_says_which_and_what_to_remove(device: DeviceDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FORMAT", 99)
    device.save(TENSORS, STATE)
    monkeypatch.undo()
    with pytest.raises(DeviceError, match=r"has format 99, this version reads 1; remove .*seat-2 to begin afresh"):
        device.load()


def test_a_file_that_cannot_be_read(device: DeviceDirectory) -> None:
    (device.path / "agent.safetensors").mkdir()
    with pytest.raises(DeviceError, match=r"cannot read .*agent\.safetensors: "):
        device.load()


def test_forgetting_leaves_the_socket_the_lock_and_the_log(device: DeviceDirectory) -> None:
    device.save(TENSORS, STATE)
    device.buffer.mkdir()
    (device.buffer / "lengths.npy").write_bytes(b"x")
    for path in (device.socket, device.log):
        path.write_bytes(b"")
    assert device.lock()
    device.forget()
    assert device.load() is None
    assert sorted(path.name for path in device.path.iterdir()) == ["agent.log", "agent.sock", "lock"]
    device.forget()  # again does no harm
    device.unlock()


# --- one writer -----------------------------------------------------------------------------------------------


def test_the_lock_excludes_another_process_until_it_is_killed(device: DeviceDirectory) -> None:
    program = (
        "import sys, time; from pathlib import Path; from client.device import DeviceDirectory\n"
        f"device = DeviceDirectory(Path({str(device.home)!r}), 'run', 'id', 2)\n"
        "print(device.lock(), flush=True)\n"
        "sys.stdin.read()\n"
    )

    def other() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    assert device.lock()
    second = other()
    assert second.communicate("")[0] == "False\n"
    device.unlock()
    device.unlock()  # again does no harm

    holder = other()
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    assert not device.lock()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert device.lock()
    device.unlock()


def test_a_device_of_several_members_has_a_folder_for_each(tmp_path: Path) -> None:
    own = DeviceDirectory(tmp_path, "run", "id", device=3)
    for team, seat in ((1, 0), (0, 2)):
        DeviceDirectory(tmp_path, "run", "id", seat, team, device=3).make()
    DeviceDirectory(tmp_path, "run", "id", 1, 0, device=4).make()
    assert own.path == tmp_path / "run" / "id" / "device-3"
    assert held_members(own) == [Member(0, 2), Member(1, 0)]
    found = [(each.device, each.team, each.seat) for each in device_directories(tmp_path)]
    assert found == [(4, 0, 1), (3, 0, 2), (3, 1, 0)]
