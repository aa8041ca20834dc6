"""A federation of Flower's own commands, and runs on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from operations.members import Teams
from pps_qmix.runtime.preloaded.supernode import BIN as FORKED_COMMANDS
from pps_qmix.runtime.processes import Part, free_ports, wait_until_listening
from pps_qmix.runtime.supernode import supernode_environment
from tests.system.conftest import TINY, processes
from tests.system.preloaded import Preloaded
from tests.waiting import WAIT_LIMIT

BIN = Path(sys.executable).parent
APP = Path(__file__).parents[2]


class Federation:
    """A SuperLink, an env proxy for 3m and SuperNodes, started as the README says: one for each seat of a team."""

    def __init__(
        self,
        folder: Path,
        homes: Mapping[int, Path] | None = None,
        seat_timeout: float = 120.0,
        database: Path | None = None,
        preloaded: Preloaded | None = None,
        held: Sequence[str] = (),
        teams: int = 1,
    ) -> None:
        """`homes` has the $PPS_HOME of seats whose device has one of its own, `database` the SuperLink's state.

        `held` says what each device of several members holds, in the words of its node config; () is one per seat.
        Devices are forks of `preloaded`, which costs a third of the CPU; without it they are Flower's own commands.
        """
        self._preloaded = preloaded
        self.folder = folder
        self.parts: list[Part] = []
        self._submitted: list[subprocess.Popen[str]] = []
        self.link, proxy, *nodes = free_ports(2 + (len(held) or 3))
        link = self.link
        self._start(
            "superlink",
            "flower-superlink",
            "--insecure",
            "--port",
            str(link),
            "--disable-runtime-dependency-installation",
            *(() if database is None else ("--database", str(database))),
        )
        tokens = folder / "t"
        self._start(
            "envproxy", "pps-qmix", "envproxy", "--map", "3m", "--battles", str(TINY["battles"]),
            "--listen", f"127.0.0.1:{proxy}", "--tokens", str(tokens), "--seat-timeout", str(seat_timeout),
            *(word for name in Teams(teams, 3).arenas("main") for word in ("--arena", name)),
        )  # fmt: skip
        wait_until_listening(self.parts[1], proxy, WAIT_LIMIT)
        self._devices = [
            (
                *("--insecure", "--superlink", f"127.0.0.1:{link}", "--port", str(port), "--node-config"),
                f'{words} envproxy="127.0.0.1:{proxy}"',
            )
            for port, words in zip(nodes, self._words(tokens, held), strict=True)
        ]
        own = {seat: {"PPS_HOME": str(path)} for seat, path in (homes or {}).items()}
        self.devices = [self.start_device(seat, own.get(seat)) for seat in range(len(nodes))]
        wait_until_listening(self.parts[0], link, WAIT_LIMIT)
        profile = {"superlink": {"edge": {"address": f"127.0.0.1:{link}", "insecure": True}}}
        home = Path(self.environment("operator")["FLWR_HOME"])
        (home / "config.toml").write_text(tomli_w.dumps(profile))

    @staticmethod
    def _words(tokens: Path, held: Sequence[str]) -> list[str]:
        """Return what the node config of each device says of its members."""
        if held:
            return [f'device={number} {words} tokens="{tokens}"' for number, words in enumerate(held)]
        return [f'seat={seat} token="{tokens}/main/seat-{seat}.token"' for seat in range(3)]

    def run(self, settings: dict[str, Any]) -> tuple[str, str]:
        """Submit a run as a user would; return its status and what was streamed."""
        line = " ".join(f"{name}={json.dumps(value)}" for name, value in settings.items())
        streamed = self._flwr("run", ".", "edge", "--stream", "--run-config", line)
        listed = json.loads(self._flwr("list", "edge", "--format", "json"))
        newest = max(listed["runs"], key=lambda run: run["pending-at"])
        return newest["status"], streamed

    def submit(self, *arguments: str) -> subprocess.Popen[str]:
        """Submit a run by `pps-qmix submit`, which follows it."""
        command = [sys.executable, "-m", "cli.main", "submit", "--superlink", f"127.0.0.1:{self.link}", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._submitted.append(process)
        return process

    def start_device(self, seat: int, environment: Mapping[str, str] | None = None, *, fork: bool = True) -> Part:
        """Start a seat's SuperNode, with this in its environment; `fork`: from what is preloaded, if anything is."""
        name, program = f"seat-{seat}", "flower-supernode"
        if fork and self._preloaded is not None:
            home = Path(self.environment(name)["FLWR_HOME"])
            own = supernode_environment(f"127.0.0.1:{self.link}", home, loaded=self._preloaded.socket)
            environment = {**own, **(environment or {})}
            program = str(FORKED_COMMANDS / program)
        return self._start(name, program, *self._devices[seat], environment=environment)

    def superexec(self) -> int:
        """Return the process that starts ServerApps."""
        (found,) = processes("flower-superexec", str(self.parts[0].pid))
        return found.pid

    def close(self) -> None:
        for process in self._submitted:
            if process.poll() is None:  # the test failed before its end
                process.terminate()
                print(f"submit was still running; it said:\n{process.communicate(timeout=WAIT_LIMIT)[0]}")
        for part in reversed(self.parts):
            part.end()

    def environment(self, name: str) -> dict[str, str]:
        home = self.folder / "f" / name
        home.mkdir(parents=True, exist_ok=True)
        return {"FLWR_HOME": str(home), "FLWR_TELEMETRY_ENABLED": "0"}

    def _start(self, name: str, program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Part:
        command = [str(BIN / program), *arguments]
        part = Part(name, command, self.folder / f"{name}.log", {**self.environment(name), **(environment or {})})
        self.parts.append(part)
        return part

    def _flwr(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(BIN / "flwr"), *arguments],
            cwd=APP,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # as a terminal shows both
            text=True,
            check=False,
            env={**os.environ, **self.environment("operator")},
        )
        return done.stdout
