"""The flower runtime on one machine: env proxy, SuperLink and one SuperNode a seat, as anyone would start them."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from cli.defaults import Value
from cli.parts import TELEMETRY_OFF, Part, PartFailedError, end_agents, free_ports, wait_until_listening
from cli.submission import Submission
from cli.supernode import supernode_command, supernode_environment
from client.launch import SeatAddress
from envproxy import battle_pb2 as pb
from envproxy import battle_pb2_grpc
from envproxy.tokens import token_path

_START_LIMIT = 120.0  # seconds; the first start compiles the simulator
_RESTARTS = 3  # of one SuperNode in a run
_BIN = Path(sys.executable).parent


class FlowerRun:
    """A federated run on this machine. Use as a context manager: leaving it ends everything that was started."""

    def __init__(self, config: Mapping[str, Value], given: Mapping[str, Value], directory: Path, n_agents: int) -> None:
        """`config` are all settings, `given` those that differ from their defaults, `directory` is the run's."""
        self._config = config
        self._given = given
        self._name = directory.name
        self._logs = directory / "logs"
        self._flower = directory / "flower"  # FLWR_HOME of every Flower process, the app, the tokens
        self._n_agents = n_agents
        self._proxy: Part | None = None
        self._superlink: Part | None = None
        self._supernodes: list[Part] = []
        self._submission: Submission | None = None
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if self._channel is not None:
            self._channel.close()
        clients = [*([self._submission.stream] if self._submission else []), *self._supernodes]
        servers = [part for part in (self._superlink, self._proxy) if part is not None]
        try:
            for together in (clients, servers):
                for part in together:
                    part.ask_to_end()
                for part in together:
                    part.end()
        finally:  # also when somebody interrupts once more, not to wait for that
            for part in clients + servers:
                part.kill()
            end_agents(self._name)
        if kind is None:
            shutil.rmtree(self._flower, ignore_errors=True)

    def start(self) -> None:
        """Start all parts and submit the run. Raises PartFailedError."""
        self._logs.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._flower, ignore_errors=True)
        self._flower.mkdir()
        proxy_port, link_port, *node_ports = free_ports(2 + self._n_agents)
        self._proxy = self._start_proxy(proxy_port)
        self._superlink = self._start_superlink(link_port)
        wait_until_listening(self._proxy, proxy_port, _START_LIMIT)  # it makes the tokens that the devices need
        for seat, port in enumerate(node_ports):
            self._supernodes.append(self._start_supernode(seat, port, link_port, proxy_port))
        wait_until_listening(self._superlink, link_port, _START_LIMIT)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{proxy_port}")
        log = self._logs / "run.log"
        self._submission = Submission(f"127.0.0.1:{link_port}", self._given, self._flower, log)

    def follow(self, tell: Callable[[str], None]) -> None:
        """Watch the parts until the run is over. A SuperNode that dies is started again.

        Raises PartFailedError if another part dies, or the run failed; the message has the last words.
        """
        assert self._proxy is not None
        assert self._superlink is not None
        assert self._submission is not None
        while self._submission.stream.running:
            self._proxy.check()
            self._superlink.check()
            for seat, node in enumerate(self._supernodes):
                if not node.running:
                    if node.restarts == _RESTARTS:
                        node.check()
                    tell(f"the SuperNode of seat {seat} ended (exit code {node.exit_code}); starting it again")
                    node.restart()
            time.sleep(0.5)
        outcome = self._submission.outcome()
        if not outcome.completed:
            raise PartFailedError(f"{outcome} (see {self._submission.stream.log})")

    def where(self) -> tuple[int, int] | None:
        """Return the round that is on and the environment steps collected in it, if the env proxy tells."""
        if self._channel is None:
            return None
        stub = battle_pb2_grpc.BattleServiceStub(self._channel)  # type: ignore[no-untyped-call]
        try:
            found = stub.Describe(pb.DescribeRequest(arena=str(self._config["arena"])), timeout=1.0)
        except (grpc.RpcError, ValueError):
            return None
        return found.round, found.steps

    def _start_proxy(self, port: int) -> Part:
        config = self._config
        command = [
            *(sys.executable, "-P", "-m", "cli.main", "envproxy", "--listen", f"127.0.0.1:{port}"),
            *("--arena", str(config["arena"]), "--map", str(config["map"]), "--backend", str(config["backend"])),
            *("--battles", str(config["battles"]), "--seat-timeout", str(config["seat-timeout"])),
            *("--rules", str(config["rules"]), "--tokens", str(self._flower / "tokens")),
        ]
        if config["attest-key"]:
            command += ["--attest-key", str(config["attest-key"])]
        return Part("the env proxy", command, self._logs / "envproxy.log")

    def _start_superlink(self, port: int) -> Part:
        command = [
            *(str(_BIN / "flower-superlink"), "--insecure", "--port", str(port)),
            "--disable-runtime-dependency-installation",
        ]
        return Part("the SuperLink", command, self._logs / "superlink.log", self._environment("superlink"))

    def _start_supernode(self, seat: int, port: int, link_port: int, proxy_port: int) -> Part:
        token = token_path(self._flower / "tokens", str(self._config["arena"]), seat)
        address = SeatAddress(seat, f"127.0.0.1:{proxy_port}", token)
        name = f"seat-{seat}"
        home = self._home(name)
        command = supernode_command(address, f"127.0.0.1:{link_port}", port, home)
        return Part(f"the SuperNode of {name}", command, self._logs / f"{name}.log", supernode_environment(home))

    def _environment(self, name: str) -> dict[str, str]:
        return {"FLWR_HOME": str(self._home(name)), **TELEMETRY_OFF}

    def _home(self, name: str) -> Path:
        home = self._flower / name
        home.mkdir(exist_ok=True)
        return home
