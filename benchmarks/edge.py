"""A federation on hosts of its own, as docs/edge.md has it: a coordinator, a battle host and a device for each seat."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO

from benchmarks.hosts import Hosts, Impairment
from pps_qmix.credentials.folders import Folders, Wanted
from pps_qmix.runtime.processes import TELEMETRY_OFF, Part, end_detached

FLEET, BATTLES = "fleet", "battles"  # the networks: of the SuperLink, of the env proxy
SUBNETS = {FLEET: IPv4Network("192.0.2.0/24"), BATTLES: IPv4Network("198.51.100.0/24")}  # RFC 5737: for documentation
SUPERLINK_PORT, ENVPROXY_PORT = 8000, 50551
_START_LIMIT = 180.0  # seconds; on a busy machine every part takes a while
_LISTEN = "0A"  # as a socket's state in /proc/PID/net/tcp
_BIN = Path(sys.executable).parent
_PPS_QMIX = (sys.executable, "-m", "cli.main")


class EdgeFederation:
    """The hosts and what runs on them. A device is on two networks, so that either of its links can be cut alone."""

    def __init__(
        self,
        hosts: Hosts,
        folder: Path,
        seats: int = 3,
        proxy: Sequence[str] = ("--map", "3m"),
        impairment: Impairment | None = None,
    ) -> None:
        """Start SuperLink and env proxy, which is told `proxy`, and make the devices, whose links are impaired."""
        self.hosts = hosts
        self.folder = folder
        self._impairment = impairment
        self._parts: list[Part] = []
        for network in (FLEET, BATTLES):
            hosts.network(network)
        for host in ("coordinator", "battle-host"):
            hosts.host(host)
        self.superlink = f"{hosts.join('coordinator', FLEET, SUBNETS[FLEET])}:{SUPERLINK_PORT}"
        self.envproxy = f"{hosts.join('battle-host', BATTLES, SUBNETS[BATTLES])}:{ENVPROXY_PORT}"
        self.credentials = folder / "c"
        link, proxy_host = (address.rpartition(":")[0] for address in (self.superlink, self.envproxy))
        wanted = Wanted((link,), (proxy_host,), seats, "main", 1)
        list(Folders(self.credentials).fill(wanted, datetime.datetime.now(datetime.UTC)))
        self._start_servers(proxy)
        for seat in range(seats):
            self.make_device(f"device-{seat}")

    def make_device(self, name: str) -> None:
        """Make a host on both networks, on which nothing runs."""
        self.hosts.host(name)
        for network in (FLEET, BATTLES):
            self.hosts.join(name, network, SUBNETS[network], self._impairment)

    def home(self, device: str) -> Path:
        """The $PPS_HOME of a device."""
        return self.folder / device

    def start_device(self, seat: int, host: str = "", environment: Mapping[str, str] | None = None) -> Part:
        """Start the one command of a device, by default on the host that was made for the seat."""
        host = host or f"device-{seat}"
        return self.start(
            host,
            host,
            [
                *(*_PPS_QMIX, "agent", "--seat", str(seat)),
                *("--superlink", self.superlink, "--envproxy", self.envproxy),
                *("--credentials", str(self.credentials / f"device-{seat}")),
            ],
            {"PPS_HOME": str(self.home(host)), **(environment or {})},
        )

    def start(self, name: str, host: str, command: Sequence[str], environment: Mapping[str, str]) -> Part:
        """Start anything on a host; it is ended with the federation."""
        part = Part(name, self.hosts.command(host, command), self.folder / f"{name}.log", environment)
        self._parts.append(part)
        return part

    def submit(
        self, runs: Path, flags: Sequence[str], output: int | IO[str] = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Submit a run on the coordinator, and follow it."""
        command = [*_PPS_QMIX, "submit", "--superlink", f"127.0.0.1:{SUPERLINK_PORT}", "--runs", str(runs)]
        command += ["--root-certificates", str(self.credentials / "coordinator" / "ca.crt"), *flags]
        return subprocess.Popen(
            self.hosts.command("coordinator", command),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PPS_HOME": str(self.home("coordinator"))},
        )

    def said(self, name: str) -> str:
        """Return what a part has logged."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        """End everything that runs on the hosts."""
        for part in reversed(self._parts):
            part.ask_to_end()
        for part in reversed(self._parts):
            part.end()
        end_detached(self.folder)

    def _start_servers(self, proxy: Sequence[str]) -> None:
        own, link = self.credentials / "coordinator", self.folder / "coordinator" / "superlink"
        link.mkdir(parents=True)
        superlink = self.start(
            "superlink",
            "coordinator",
            [
                *(str(_BIN / "flower-superlink"), "--host", "0.0.0.0", "--port", str(SUPERLINK_PORT)),
                *("--enable-supernode-auth", "--disable-runtime-dependency-installation"),
                *("--ssl-certfile", str(own / "superlink.crt"), "--ssl-keyfile", str(own / "superlink.key")),
                *("--ssl-ca-certfile", str(own / "ca.crt")),
            ],
            {"FLWR_HOME": str(link), **TELEMETRY_OFF},
        )
        theirs = self.credentials / "battle-host"
        self.start(
            "envproxy",
            "battle-host",
            [
                *(*_PPS_QMIX, "envproxy", *proxy, "--listen", f"0.0.0.0:{ENVPROXY_PORT}"),
                *("--certificate", str(theirs / "envproxy.crt"), "--private-key", str(theirs / "envproxy.key")),
                *("--tokens", str(theirs / "tokens")),
            ],
            {"PPS_HOME": str(self.home("battle-host"))},
        )
        self._register(superlink)

    def _register(self, superlink: Part) -> None:
        """Tell the SuperLink its devices, as soon as it listens."""
        deadline = time.monotonic() + _START_LIMIT
        while not _listens(superlink, SUPERLINK_PORT):
            superlink.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the SuperLink does not listen. {superlink.last_words()}")
            time.sleep(0.2)
        own = self.credentials / "coordinator"
        command = [*_PPS_QMIX, "admit", "--superlink", f"127.0.0.1:{SUPERLINK_PORT}"]
        command += ["--root-certificates", str(own / "ca.crt"), *map(str, (own / "supernodes").glob("*.pub"))]
        done = subprocess.run(self.hosts.command("coordinator", command), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the devices cannot be registered: {done.stderr}")


def _listens(part: Part, port: int) -> bool:
    """Say whether a program listens on a port of the host that a process is on."""
    sockets = [line.split() for line in Path(f"/proc/{part.pid}/net/tcp").read_text().splitlines()[1:]]
    return any(local.endswith(f":{port:04X}") and state == _LISTEN for _, local, _, state, *_ in sockets)
