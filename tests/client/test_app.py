"""The ClientApp: light, and clear about a wrong node config."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from client.app import NodeConfigError, seat_address
from client.launch import SeatAddress
from envproxy.transport import Transport


def test_importing_it_loads_nothing_heavy() -> None:
    program = (
        "import sys, client.app\n"
        "print(sorted({'torch', 'numba', 'pydantic', 'matplotlib', 'learning', 'envproxy.arena'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_seat_alone_has_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PPS_HOME", str(tmp_path))
    found = seat_address({"seat": 2}, "main")
    assert found == SeatAddress(2, "127.0.0.1:50551", tmp_path / "tokens" / "main" / "seat-2.token")


def test_all_that_is_said_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = seat_address({"seat": 0, "envproxy": "battle.host:9000", "token": "t/my.token", "other": 1}, "main")
    assert found == SeatAddress(0, "battle.host:9000", tmp_path / "t" / "my.token")
    assert seat_address({"seat": 0, "envproxy": "[::1]:9000"}, "main").envproxy == "[::1]:9000"


def test_the_transport_is_said_in_the_node_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert seat_address({"seat": 0}, "main").transport == Transport()
    assert seat_address({"seat": 0, "insecure": True}, "main").transport == Transport(insecure=True)
    assert seat_address({"seat": 0, "root-certificates": "ca.crt"}, "main").transport == Transport(tmp_path / "ca.crt")
    with pytest.raises(NodeConfigError, match="insecure and root-certificates exclude each other"):
        seat_address({"seat": 0, "root-certificates": "ca.crt", "insecure": True}, "main")
    with pytest.raises(NodeConfigError, match="insecure is 'yes' in the node config; write insecure=true"):
        seat_address({"seat": 0, "insecure": "yes"}, "main")


@pytest.mark.parametrize("config", [{}, {"Seat": 1}, *({"seat": value} for value in ("0", -1, 0.0, True, ""))])
def test_no_seat_or_a_wrong_one_says_what_to_write(config: dict[str, Any]) -> None:
    with pytest.raises(NodeConfigError) as refused:
        seat_address(config, "main")
    assert "--node-config 'seat=0'" in str(refused.value)
    assert str(config) in str(refused.value)


@pytest.mark.parametrize("address", ["", "battle.host", "battle.host:", ":50551", "battle.host:http", 50551])
def test_an_address_without_a_port_says_what_to_write(address: Any) -> None:
    with pytest.raises(NodeConfigError) as refused:
        seat_address({"seat": 1, "envproxy": address}, "main")
    assert repr(str(address)) in str(refused.value)
    assert "--node-config 'seat=1 envproxy=\"HOST:PORT\"'" in str(refused.value)
