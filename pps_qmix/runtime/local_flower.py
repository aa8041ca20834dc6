"""The flower runtime on one machine: env proxy, SuperLink and one SuperNode a device, as anyone would start them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from client.launch import Address
from envproxy.transport import Transport, open_channel
from operations.members import Teams
from pps_qmix.configuration import Value
from pps_qmix.runtime.local_devices import device_addresses, device_count
from pps_qmix.runtime.preloaded.loaded import ENVIRONMENT
from pps_qmix.runtime.preloaded.supernode import loaded_command
from pps_qmix.runtime.process_restart import RestartedProcess
from pps_qmix.runtime.processes import (
    TELEMETRY_OFF,
    Part,
    PartFailedError,
    end_detached,
    flower_command,
    free_ports,
    wait_until_listening,
    wait_until_made,
)
from pps_qmix.runtime.round_progress import RoundProgress
from pps_qmix.runtime.submission import Submission
from pps_qmix.runtime.superlink import SuperLink
from pps_qmix.runtime.supernode import supernode_command, supernode_environment
from server.checkpoints import newest_checkpoint_steps
from server.settings import Settings

_START_LIMIT = 120.0  # seconds; the first start compiles the simulator
_LOAD_LIMIT = 300.0  # seconds; Flower and PyTorch take 8 s of CPU, and a small, busy machine more from its disk


class FlowerRun:
    """A federated run on this machine. Use as a context manager: leaving it ends everything that was started."""

    def __init__(self, settings: Settings, directory: Path, n_agents: int) -> None:
        """`directory` is the run's, `n_agents` are of a team."""
        self._settings = settings
        self._config = settings.config()
        self._directory = directory
        self._logs = directory / "logs"
        self._flower = directory / "flower"  # FLWR_HOME of every Flower process, the app, the tokens
        # Socket of the process that has loaded what devices need and runs them in forks (pps_qmix.runtime.preloaded).
        self._loaded = self._flower / "loaded" / "preloaded.sock" if sys.platform == "linux" else None
        self._teams = Teams(settings.teams, n_agents)
        self._superlink: Part | None = None
        self._link_address = ""
        self._restarted: list[RestartedProcess] = []  # what the others can wait for: the env proxy, the SuperNodes
        self._submission: Submission | None = None
        self._collected: RoundProgress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        self._end()
        if kind is None:
            shutil.rmtree(self._flower, ignore_errors=True)

    def start(self) -> None:
        """Start all parts. Raises PartFailedError."""
        self._logs.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._flower, ignore_errors=True)
        self._flower.mkdir()
        proxy_port, link_port, *node_ports = free_ports(2 + device_count(self._settings, self._teams))
        proxy = self._start_proxy(proxy_port)
        self._restarted.append(RestartedProcess(proxy))
        if self._loaded is not None:
            loaded = self._start_loaded(self._loaded)
            self._restarted.append(RestartedProcess(loaded))
        self._superlink = self._start_superlink(link_port)
        wait_until_listening(proxy, proxy_port, _START_LIMIT)  # it makes the tokens that the devices need
        if self._loaded is not None:
            wait_until_made(loaded, self._loaded, _LOAD_LIMIT)
        tokens = self._flower / "tokens"
        devices = device_addresses(self._settings, self._teams, f"127.0.0.1:{proxy_port}", tokens)
        for address, port in zip(devices, node_ports, strict=True):
            self._restarted.append(RestartedProcess(self._start_supernode(address, port, link_port)))
        wait_until_listening(self._superlink, link_port, _START_LIMIT)
        self._link_address = f"127.0.0.1:{link_port}"
        channel = open_channel(f"127.0.0.1:{proxy_port}", Transport())
        self._collected = RoundProgress(channel, self._teams.arenas(self._settings.arena)[0])

    def play(
        self, given: Mapping[str, Value], tell: Callable[[str], None], meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Submit the run with the settings `given` and return at its end; `start` first, if nothing is started.

        `meanwhile` is called now and then.
        An env proxy or SuperNode that dies is started again. Raises PartFailedError if the SuperLink dies, one of the
        others dies again and again, or the run fails; the message has the last words, and all parts have ended.
        """
        reached = newest_checkpoint_steps(self._directory)

        def look() -> None:
            nonlocal reached
            if self._superlink is not None:
                self._superlink.check()
            before, reached = reached, newest_checkpoint_steps(self._directory)
            for each in self._restarted:
                if reached > before:
                    each.forget()
                each.look(tell)
            meanwhile()

        try:
            if self._superlink is None:
                self.start()
            link = SuperLink(self._link_address)
            self._submission = Submission(link, given, self._home("cli"), self._logs / "run.log")
            self._submission.follow(look)
        except PartFailedError:
            self._end()
            raise

    def where(self) -> tuple[int, int] | None:
        """Return the round that is on and the environment steps collected in it, if the env proxy tells."""
        collected = self._collected
        return None if collected is None else collected.ask()

    def _end(self) -> None:
        """End all parts, those first that call others."""
        if self._collected is not None:
            self._collected.close()
        parts = [each.part for each in self._restarted]
        serving = 1 if self._loaded is None else 2  # the env proxy, and what devices are forked from
        clients = parts[serving:] + ([self._submission.stream] if self._submission is not None else [])
        servers = parts[:serving] + ([self._superlink] if self._superlink is not None else [])
        try:
            for together in (clients, servers):
                for part in together:
                    part.ask_to_end()
                for part in together:
                    part.end()
        finally:  # also after a second interrupt, which ends the waiting
            for part in clients + servers:
                part.kill()
            end_detached(self._flower)
        self._restarted, self._superlink, self._submission, self._collected = [], None, None, None

    def _start_proxy(self, port: int) -> Part:
        config = self._config
        command = [
            *(sys.executable, "-P", "-m", "envproxy", "--listen", f"127.0.0.1:{port}"),
            *("--map", str(config["map"]), "--backend", str(config["backend"])),
            *(word for name in self._teams.arenas(self._settings.arena) for word in ("--arena", name)),
            *("--battles", str(config["battles"]), "--seat-timeout", str(config["seat-timeout"])),
            *("--rules", str(config["rules"]), "--backend-options", str(config["backend-options"])),
            *("--tokens", str(self._flower / "tokens"), "--seat-budget", str(config["seat-budget"])),
        ]
        if config["attest-key"]:
            command += ["--attest-key", str(config["attest-key"])]
        return Part("the env proxy", command, self._logs / "envproxy.log")

    def _start_superlink(self, port: int) -> Part:
        command = [
            *(flower_command("flower-superlink"), "--insecure", "--port", str(port)),
            "--disable-runtime-dependency-installation",
        ]
        return Part("the SuperLink", command, self._logs / "superlink.log", self._environment("superlink"))

    def _start_loaded(self, socket: Path) -> Part:
        environment = {**self._environment("loaded"), **ENVIRONMENT}
        command = loaded_command(socket, os.getpid())
        return Part(
            "the process that has loaded Flower for the devices", command, self._logs / "loaded.log", environment
        )

    def _start_supernode(self, address: Address, port: int, link_port: int) -> Part:
        name = address.name.replace(" ", "-")
        home = self._home(name)
        superlink = f"127.0.0.1:{link_port}"
        command = supernode_command(address, superlink, port, home, shares=self._loaded is not None)
        environment = supernode_environment(superlink, home, loaded=self._loaded)
        return Part(f"the SuperNode of {address.name}", command, self._logs / f"{name}.log", environment)

    def _environment(self, name: str) -> dict[str, str]:
        return {"FLWR_HOME": str(self._home(name)), **TELEMETRY_OFF}

    def _home(self, name: str) -> Path:
        home = self._flower / name
        home.mkdir(exist_ok=True)
        return home
