"""Which devices a run on this machine has, and what their SuperNodes are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from flwr.common.config import parse_config_args
from hypothesis import given
from hypothesis import strategies as st

from client.app import NodeConfigError, address_of
from client.launch import HostAddress, SeatAddress
from operations.members import Member, Teams
from pps_qmix.runtime.local_devices import device_addresses, device_count
from pps_qmix.runtime.supernode import supernode_command
from tests.server.squad import settings

TOKENS = Path("/tokens")


def addresses(teams: int, devices: int = 0) -> list[SeatAddress | HostAddress]:
    run = settings(teams=teams, devices=devices)
    return device_addresses(run, Teams(teams, 3), "127.0.0.1:1", TOKENS)


def test_one_team_has_a_device_for_each_seat() -> None:
    assert addresses(1) == [
        SeatAddress(seat, "127.0.0.1:1", TOKENS / "main" / f"seat-{seat}.token") for seat in range(3)
    ]


@given(st.integers(1, 40), st.integers(0, 200))
def test_each_member_is_on_one_device_and_they_are_even(teams: int, devices: int) -> None:
    found = addresses(teams, devices)
    held = [each.members if isinstance(each, HostAddress) else (Member(0, each.seat),) for each in found]
    assert [member for members in held for member in members] == [
        Member(team, seat) for team in range(teams) for seat in range(3)
    ]
    assert max(map(len, held)) - min(map(len, held)) <= 1
    assert len(found) == device_count(settings(teams=teams, devices=devices), Teams(teams, 3))


def test_several_teams_have_eight_devices_unless_told_otherwise() -> None:
    assert [len(addresses(2)), len(addresses(10)), len(addresses(10, devices=2))] == [6, 8, 2]


@pytest.mark.parametrize(
    "address",
    [
        HostAddress(3, (Member(0, 1), Member(12, 0)), 0, "127.0.0.1:1", TOKENS),
        HostAddress(0, (), 12, "127.0.0.1:1", TOKENS),
    ],
)
def test_a_supernode_is_told_of_members_and_its_clientapp_reads_it(address: HostAddress, tmp_path: Path) -> None:
    command = supernode_command(address, "127.0.0.1:2", 3, tmp_path)
    node_config = parse_config_args([command[command.index("--node-config") + 1]])
    assert address_of(dict(node_config), "main") == address


@pytest.mark.parametrize(
    ("node_config", "words"),
    [
        ({"device": 0}, "expected either members or capacity"),
        ({"device": 0, "members": "0:0", "capacity": 3}, "expected either members or capacity"),
        ({"device": 0, "members": "0-0"}, "members: expected TEAM:SEAT, as 0:2, found '0-0'"),
        ({"device": -1, "capacity": 3}, "expected whole numbers"),
        ({"device": 0, "capacity": "many"}, "expected whole numbers"),
    ],
)
def test_a_node_config_that_is_wrong_is_refused(node_config: dict[str, bool | float | int | str], words: str) -> None:
    with pytest.raises(NodeConfigError, match=words):
        address_of(node_config, "main")
