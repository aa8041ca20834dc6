"""All checks of a machine, in the order in which they are told."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envproxy.backend import create_backend
from envproxy.rules import Rules
from envproxy.transport import DEFAULT_ADDRESS, Transport
from operations.paths import user_path
from pps_qmix.configuration import default_config
from pps_qmix.credentials.folders import CA
from pps_qmix.doctor import credentials, machine, network, packages, starcraft
from pps_qmix.doctor.finding import Finding
from server.settings import check_settings

_DEFAULT_SUPERLINK = "127.0.0.1:8000"  # Flower's


@dataclass(frozen=True)
class Machine:
    """What a machine is to do; None: it has nothing of that kind."""

    credentials: Path | None  # its folder of pps-qmix certs
    superlink: str | None  # HOST:PORT that its devices call
    envproxy: str | None  # HOST:PORT that its devices call
    arena: str
    map: str
    buffer_size: int  # battles of a device
    runs: Path
    starcraft: bool  # whether it plays on StarCraft II
    rules: str
    backend_options: str


def examine(wanted: Machine) -> Iterator[Finding]:
    """Make the checks of a machine, one after the other."""
    yield from packages.check_packages()
    if not wanted.starcraft:
        yield from starcraft.check_own_smac()
    yield machine.check_numba_cache()
    home, runs = _home("PPS_HOME", ".pps-qmix"), wanted.runs.absolute()
    yield machine.check_folder("PPS_HOME", home, "name another folder in PPS_HOME")
    yield machine.check_folder("FLWR_HOME", _home("FLWR_HOME", ".flwr"), "name another folder in FLWR_HOME")
    yield machine.check_flower_commands()
    if home is not None:
        backend = create_backend(str(default_config()["backend"]), wanted.map, 1)
        spec = backend.spec
        backend.close()
        yield from machine.check_room(home, runs, spec, wanted.buffer_size, int(default_config()["hidden"]))
        yield machine.check_memory(spec, check_settings({**default_config(), "map": wanted.map}))
    yield machine.check_open_files()
    transport = Transport(insecure=True)
    if wanted.credentials is not None:
        folder = wanted.credentials.absolute()
        yield from credentials.check_credentials(folder, datetime.datetime.now(datetime.UTC))
        if (folder / CA).is_file():
            transport = Transport(folder / CA)
    yield network.check_proxies()
    if wanted.superlink is None:
        yield network.check_port("SuperLink", _DEFAULT_SUPERLINK)
    else:
        yield from network.check_superlink(wanted.superlink, transport)
    if wanted.envproxy is None:
        yield network.check_port("env proxy", DEFAULT_ADDRESS)
    else:
        yield network.check_envproxy(wanted.envproxy, wanted.arena, transport)
    if wanted.starcraft:
        yield from starcraft.check_starcraft(wanted.map, Rules.parse(wanted.rules), wanted.backend_options)


def _home(variable: str, name: str) -> Path | None:
    """Return the folder that a variable names, or a folder in the home folder; None if the user has not got one."""
    try:
        return user_path(os.environ.get(variable) or Path.home() / name).absolute()
    except RuntimeError:
        return None
