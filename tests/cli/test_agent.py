"""`pps-qmix agent`: what it wants to have, how it starts a SuperNode, and how long it starts it again."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from flwr.common.config import parse_config_args
from hypothesis import given
from hypothesis import strategies as st

from cli.main import main
from client.app import seat_address
from client.launch import SeatAddress
from envproxy.tokens import keep_tokens
from envproxy.transport import Transport
from pps_qmix.credentials.folders import Folders, Wanted
from pps_qmix.runtime import device
from pps_qmix.runtime.device import RESTARTS, held_seat, keep_running
from pps_qmix.runtime.processes import Part, PartFailedError, free_ports
from pps_qmix.runtime.supernode import supernode_command
from tests.nasty import names


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, surroundings: None) -> None:
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("credentials")
    list(Folders(folder).fill(Wanted((), (), 3, "main", 1), datetime.datetime.now(datetime.UTC)))
    return folder


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line with which the command refuses to begin."""
    assert main(["agent", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


LINK = ("--superlink", "127.0.0.1:1")


def test_without_credentials_plaintext_must_be_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--seat", "1", *LINK)
    assert said.startswith("pps-qmix: credentials: name this device's folder of pps-qmix certs, --credentials DIR, or")
    assert "seat-1.token" in refused(capsys, "--seat", "1", *LINK, "--insecure")


def test_the_folder_must_be_that_of_the_seat_and_whole(
    capsys: pytest.CaptureFixture[str], credentials: Path, tmp_path: Path
) -> None:
    said = refused(capsys, "--seat", "1", *LINK, "--credentials", str(credentials / "device-2"))
    assert "has seat-2.token, not seat-1.token; which seat does this device hold?" in said
    said = refused(capsys, "--seat", "1", *LINK, "--credentials", str(tmp_path / "absent"))
    assert f"the folder {tmp_path / 'absent'} does not exist" in said
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "seat-1.token").write_text("x\n")
    said = refused(capsys, "--seat", "1", *LINK, "--credentials", str(tmp_path / "part"))
    assert "lacks ca.crt, supernode.key; copy the whole folder device-1" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seat", "-1", *LINK], "seat: expected 0, 1, 2, ... or free, found -1"),
        (["--seat", "0", "--superlink", "coordinator"], "superlink: expected HOST:PORT, found 'coordinator'"),
        (["--seat", "0", *LINK, "--envproxy", "x"], "envproxy: expected HOST:PORT, found 'x'"),
        (["--members", "0", *LINK], "members: expected TEAM:SEAT, as 0:2, found '0'"),
        (["--members", "", *LINK], "members: expected TEAM:SEAT, as 0:2, found nothing"),
        (["--capacity", "0", *LINK], "capacity: expected 1 or more, found 0"),
        (["--capacity", "2", "--device", "-1", *LINK], "device: expected 0, 1, 2, ..., found -1"),
        (["--capacity", "2", "--tokens", "/absent", *LINK], "tokens: the folder /absent does not exist; copy the env"),
    ],
)
def test_wrong_flags_are_said(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert words in refused(capsys, *arguments)


def test_what_the_supernode_is_told_the_clientapp_understands(credentials: Path) -> None:
    folder = credentials / "device-1"
    address = SeatAddress(1, "battles.example:50551", folder / "seat-1.token", Transport(folder / "ca.crt"))
    home = Path("/device")
    command = supernode_command(address, "link.example:9092", 9100, home, folder / "ca.crt", folder / "supernode.key")
    begin = command.index("/device/preloaded.sock") + 1  # before: what its commands are forked from
    assert command[begin].endswith("flower-supernode")
    options = dict(zip(command[begin + 1 :: 2], command[begin + 2 :: 2], strict=True))
    node_config = tomllib.loads(options.pop("--node-config").replace(" ", "\n"))
    assert seat_address(node_config, "main") == address
    assert options == {
        "--root-certificates": str(folder / "ca.crt"),
        "--auth-supernode-private-key": str(folder / "supernode.key"),
        "--superlink": "link.example:9092",
        "--port": "9100",
    }
    plain = supernode_command(SeatAddress(0, "b:1", Path("t"), Transport(insecure=True)), "link:1", 9100, home)
    assert plain[begin + 1 : begin + 4] == ["--insecure", "--superlink", "link:1"]
    assert plain[-1] == 'seat=0 envproxy="b:1" token="t" insecure=true'
    with pytest.raises(ValueError, match=r"token: expected a path in UTF-8, found '/t\\udcff'"):
        supernode_command(SeatAddress(0, "b:1", Path("/t\udcff")), "link:1", 9100, home)


@given(token=names(), folder=names(), where=st.sampled_from(["b:1", "b.toml:1", '"b c=":1']))
def test_flower_and_the_clientapp_read_any_path_in_a_node_config(token: str, folder: str, where: str) -> None:
    address = SeatAddress(2, where, Path("/", folder, token), Transport(Path("/", token, folder)))
    node_config = supernode_command(address, "link:1", 9100, Path("/device"))[-1]
    assert seat_address(parse_config_args([node_config]), "main") == address


def test_a_supernode_that_does_not_stay_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device, "PAUSE", 0.001)
    node = Part("the SuperNode", ["sh", "-c", "echo begun; exit 3"], tmp_path / "log")
    with pytest.raises(PartFailedError, match=rf"the SuperNode ended {RESTARTS + 1} times \(exit code 3\)"):
        keep_running(node)
    assert (tmp_path / "log").read_text() == "begun\n" * (RESTARTS + 1)


def test_a_supernode_that_stayed_is_always_started_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device, "PAUSE", 0.001)
    monkeypatch.setattr(device, "STAYED", -1.0)
    node = Part("the SuperNode", ["sh", "-c", "exit 3"], tmp_path / "log")
    restarts = iter(range(3 * RESTARTS))

    def restart(begin: Callable[[], None] = node.restart) -> None:
        if next(restarts, None) is None:
            raise KeyboardInterrupt
        begin()

    monkeypatch.setattr(node, "restart", restart)
    with pytest.raises(KeyboardInterrupt):
        keep_running(node)


def test_one_device_runs_a_seat_once(capsys: pytest.CaptureFixture[str], credentials: Path) -> None:
    link, proxy = free_ports(2)
    arguments = ("--seat", "0", "--superlink", f"127.0.0.1:{link}", "--envproxy", f"127.0.0.1:{proxy}")
    with held_seat(0, credentials / "device-0", insecure=False):
        assert main(["agent", *arguments, "--credentials", str(credentials / "device-0")]) == 2
    assert "another pps-qmix agent plays seat 0 here" in capsys.readouterr().err


def test_a_seat_that_no_device_holds_is_free(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    keep_tokens(tmp_path / "tokens", "main", 3)
    tokens = tmp_path / "tokens" / "main"
    arguments = ["--seat", "free", *LINK, "--insecure", "--credentials", str(tokens)]
    with (
        held_seat(1, tokens, insecure=True),
        held_seat(None, tokens, insecure=True) as (first, _, credentials),
        held_seat(None, tokens, insecure=True) as (second, home, _),
    ):
        assert (first, second) == (0, 2)
        assert credentials.token.name == "seat-0.token"
        assert home.name == "seat-2"
        assert refused(capsys, *arguments).startswith("pps-qmix: seat: none is free of the 3 that")
    with held_seat(None, tokens, insecure=True) as (again, _, _):
        assert again == 0
