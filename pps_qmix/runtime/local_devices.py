"""The devices of a run on this machine: how many, and which members each holds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from client.launch import Address, HostAddress, SeatAddress
from envproxy.tokens import token_path
from operations.members import Teams
from server.settings import Settings

_OF_TEAMS: Final = 8  # devices of several teams, unless a user wants another number


def device_count(settings: Settings, teams: Teams) -> int:
    """Return how many devices a run has on this machine, at most one for each member."""
    members = len(teams.numbers)
    wanted = settings.devices or (members if teams.count == 1 else _OF_TEAMS)
    return min(wanted, members)


def device_addresses(settings: Settings, teams: Teams, envproxy: str, tokens: Path) -> list[Address]:
    """Return what each device is told; `tokens` is the env proxy's folder of tokens.

    Members of one team are on one device, or on neighbours. A device of one seat is told of it as any other is.
    """
    count, members = device_count(settings, teams), [teams.member(number) for number in teams.numbers]
    if teams.count == 1 and count == len(members):
        (arena,) = teams.arenas(settings.arena)
        return [SeatAddress(seat, envproxy, token_path(tokens, arena, seat)) for _, seat in members]
    bounds = [len(members) * device // count for device in range(count + 1)]
    return [
        HostAddress(device, tuple(members[bounds[device] : bounds[device + 1]]), 0, envproxy, tokens)
        for device in range(count)
    ]
