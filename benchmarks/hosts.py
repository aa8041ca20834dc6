"""Hosts on one machine: Linux network namespaces with addresses of their own, on networks whose links can be cut.

It takes root, or CAP_NET_ADMIN and CAP_SYS_ADMIN, and iproute2's `ip`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network
from types import TracebackType
from typing import Self

import psutil

_PREFIX = "pps-qmix"  # of the names of all our namespaces; a process id follows, and the host's name
_SWITCHES = "switches"  # the namespace of the networks' bridges


class HostsError(Exception):
    """This machine cannot make such hosts; the message says why."""


@dataclass(frozen=True)
class Impairment:
    """What becomes of the packets that a host sends on a link, as netem has it."""

    delay: float  # seconds
    loss: float  # share of the packets, 0..1


@dataclass(frozen=True)
class Traffic:
    """What has gone over a link since it was made, in bytes of frames, as the host sees it."""

    sent: int
    received: int


class Hosts:
    """Some hosts and networks; all are gone at the end of the `with` block.

    Every host has a loopback of its own, and one link to each network it was joined to, called like the network.
    """

    def __init__(self) -> None:
        self._own = f"{_PREFIX}-{os.getpid()}-"
        self._made: list[str] = []
        self._ports: dict[tuple[str, str], str] = {}  # host and network -> the link's other end, at the switch
        self._relays: list[subprocess.Popen[str]] = []
        self._sizes: dict[str, int] = {}  # network -> hosts on it

    def __enter__(self) -> Self:
        """Raises HostsError if the machine has no network namespaces for us."""
        _remove_abandoned()
        try:
            self._make(_SWITCHES)
        except HostsError:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._remove()

    def network(self, name: str) -> None:
        """Make a network."""
        self._ip(_SWITCHES, "link", "add", name, "type", "bridge")
        self._ip(_SWITCHES, "link", "set", name, "up")

    def host(self, name: str) -> None:
        """Make a host that is on no network."""
        self._make(name)

    def join(self, host: str, network: str, subnet: IPv4Network, impairment: Impairment | None = None) -> str:
        """Link a host to a network; return its address there, the next one of `subnet`."""
        self._sizes[network] = self._sizes.get(network, 0) + 1
        address = str(subnet[self._sizes[network]])
        port, far = f"p{len(self._ports)}", f"q{len(self._ports)}"
        if impairment is not None and not _has_netem():
            self._relay(port, far, impairment)
        else:
            self._ip(_SWITCHES, "link", "add", port, "type", "veth", "peer", "name", far)
        self._ip(_SWITCHES, "link", "set", far, "name", network, "netns", self._own + host)
        self._ip(_SWITCHES, "link", "set", port, "master", network, "up")
        self._ip(host, "address", "add", f"{address}/{subnet.prefixlen}", "dev", network)
        self._ip(host, "link", "set", network, "up")
        if impairment is not None and _has_netem():
            bad = ("delay", f"{impairment.delay * 1000:g}ms", "loss", f"{impairment.loss * 100:g}%")
            _call("ip", "netns", "exec", self._own + host, "tc", "qdisc", "add", "dev", network, "root", "netem", *bad)
        self._ports[host, network] = port
        return address

    def cut(self, host: str, network: str) -> None:
        """Pull the plug at the switch: what either side sends is lost, and neither is told."""
        self._ip(_SWITCHES, "link", "set", self._ports[host, network], "down")

    def mend(self, host: str, network: str) -> None:
        """Undo `cut`."""
        self._ip(_SWITCHES, "link", "set", self._ports[host, network], "up")

    def command(self, host: str, command: Sequence[str]) -> list[str]:
        """Return what runs `command` on a host; the process that it starts becomes the command's."""
        return ["ip", "netns", "exec", self._own + host, *command]

    def traffic(self, host: str, network: str) -> Traffic:
        """Return what has gone over a link."""
        said = _call("ip", "-n", self._own + host, "-s", "-j", "link", "show", "dev", network)
        counted = json.loads(said)[0]["stats64"]
        return Traffic(int(counted["tx"]["bytes"]), int(counted["rx"]["bytes"]))

    def _make(self, name: str) -> None:
        _call("ip", "netns", "add", self._own + name)
        self._made.append(name)
        self._ip(name, "link", "set", "lo", "up")

    def _relay(self, port: str, far: str, impairment: Impairment) -> None:
        words = [port, far, str(impairment.delay), str(impairment.loss), str(len(self._ports))]
        relay = subprocess.Popen(
            self.command(_SWITCHES, [sys.executable, "-m", "benchmarks.bad_link", *words]),
            stdout=subprocess.PIPE,
            text=True,
        )
        self._relays.append(relay)
        assert relay.stdout is not None
        if not relay.stdout.readline():  # it says that both ends are there
            raise HostsError("no TAP devices can be made (see above why); they stand in for netem")

    def _ip(self, host: str, *words: str) -> None:
        _call("ip", "-n", self._own + host, *words)

    def _remove(self) -> None:
        for relay in self._relays:
            relay.terminate()
            relay.wait()
        for name in self._made:
            with contextlib.suppress(HostsError):
                _call("ip", "netns", "delete", self._own + name)


def netem() -> str:
    """Say what delays and loses packets here."""
    return "tc netem" if _has_netem() else "a relay of frames between TAP devices (this kernel has no sch_netem)"


@cache
def _has_netem() -> bool:
    """Try it: a kernel may have it built in, load it when it is wanted, or lack it."""
    name = f"{_PREFIX}-{os.getpid()}-try"
    _call("ip", "netns", "add", name)
    try:
        words = ("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
        _call("ip", "netns", "exec", name, *words)
        return True
    except HostsError:
        return False
    finally:
        _call("ip", "netns", "delete", name)


def _remove_abandoned() -> None:
    """Remove what processes have left behind that were killed."""
    for line in _call("ip", "netns", "list").splitlines():
        name = line.split()[0]
        words = name.removeprefix(f"{_PREFIX}-").split("-")
        if name.startswith(f"{_PREFIX}-") and words[0].isdecimal() and not psutil.pid_exists(int(words[0])):
            with contextlib.suppress(HostsError):  # another process does the same
                _call("ip", "netns", "delete", name)


def _call(*command: str) -> str:
    """Return what a command prints. Raises HostsError with its words if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise HostsError(f"{command[0]} is not installed") from None
    if done.returncode:
        raise HostsError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
