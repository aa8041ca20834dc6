"""A federation over TLS on this machine, as docs/edge.md starts one: each device is a `pps-qmix agent`."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from operations.members import Member
from pps_qmix.configuration import default_config
from pps_qmix.credentials.folders import CA, Folders, Wanted
from pps_qmix.runtime.processes import (
    TELEMETRY_OFF,
    Part,
    end_detached,
    flower_command,
    free_ports,
    wait_until_listening,
)

_START_LIMIT = 300.0  # seconds; on a busy machine every part takes a while
_PPS_QMIX = (sys.executable, "-P", "-m", "pps_qmix_command")
_HOST = "127.0.0.1"


class SecureFederation:
    """A SuperLink that authenticates devices, an env proxy, and the devices. `close` ends them."""

    def __init__(self, folder: Path, home: Path, held: Sequence[Sequence[Member]], proxy: Sequence[str]) -> None:
        """Start all parts in `folder`, with `home` for $PPS_HOME.

        `held` are the members of each device, `proxy` is what the env proxy is told. Raises PartFailedError.
        """
        self._folder, self._environment = folder, {"PPS_HOME": str(home)}
        self._parts: list[Part] = []
        link, battles = free_ports(2)
        self._superlink, self._envproxy = f"{_HOST}:{link}", f"{_HOST}:{battles}"
        self._credentials = folder / "credentials"
        wanted = Wanted((), (), len(held), str(default_config()["arena"]), 1)
        list(Folders(self._credentials).fill(wanted, datetime.datetime.now(datetime.UTC)))
        self._tokens = self._credentials / "battle-host" / "tokens"
        try:
            wait_until_listening(self._start_superlink(link), link, _START_LIMIT)
            self._admit()
            wait_until_listening(self._start_envproxy(proxy), battles, _START_LIMIT)  # it makes the tokens
            for number, members in enumerate(held):
                self._start_device(number, members)
        except BaseException:
            self.close()
            raise

    def submit(self, runs: Path, flags: Sequence[str], output: IO[str]) -> subprocess.Popen[bytes]:
        """Submit a run, and follow it."""
        command = [*_PPS_QMIX, "submit", "--superlink", self._superlink, "--runs", str(runs)]
        command += ["--root-certificates", str(self._credentials / "coordinator" / CA), *flags]
        return subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **self._environment})

    def close(self) -> None:
        """End everything."""
        for part in reversed(self._parts):
            part.ask_to_end()
        for part in reversed(self._parts):
            part.end()
        end_detached(self._folder)

    def _start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Part:
        log = self._folder / f"{name}.log"
        self._parts.append(Part(name, command, log, {**self._environment, **TELEMETRY_OFF, **(environment or {})}))
        return self._parts[-1]

    def _start_superlink(self, port: int) -> Part:
        own, home = self._credentials / "coordinator", self._folder / "superlink"
        home.mkdir()
        command = [
            *(flower_command("flower-superlink"), "--port", str(port), "--enable-supernode-auth"),
            *("--ssl-certfile", str(own / "superlink.crt"), "--ssl-keyfile", str(own / "superlink.key")),
            *("--ssl-ca-certfile", str(own / CA), "--disable-runtime-dependency-installation"),
        ]
        return self._start("superlink", command, {"FLWR_HOME": str(home)})

    def _start_envproxy(self, proxy: Sequence[str]) -> Part:
        own = self._credentials / "battle-host"
        command = [
            *(*_PPS_QMIX, "envproxy", *proxy, "--listen", self._envproxy, "--tokens", str(self._tokens)),
            *("--certificate", str(own / "envproxy.crt"), "--private-key", str(own / "envproxy.key")),
        ]
        return self._start("envproxy", command)

    def _admit(self) -> None:
        own = self._credentials / "coordinator"
        command = [*_PPS_QMIX, "admit", "--superlink", self._superlink, "--root-certificates", str(own / CA)]
        command += map(str, sorted((own / "supernodes").glob("*.pub")))
        environment = {**os.environ, **self._environment}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise RuntimeError(f"the devices cannot be registered: {done.stderr}")

    def _start_device(self, number: int, members: Sequence[Member]) -> None:
        command = [
            *(*_PPS_QMIX, "agent", "--device", str(number), "--members", ",".join(map(str, members))),
            *("--superlink", self._superlink, "--envproxy", self._envproxy, "--tokens", str(self._tokens)),
            *("--credentials", str(self._credentials / f"device-{number}")),
        ]
        self._start(f"device-{number}", command)
