"""What a federation of many teams costs on this machine: memory, seconds a round, sizes of messages.

python -m benchmarks.scale [--agents 3,30] [--devices 8] [--tls] [any flag of `pps-qmix train`]

Trains teams of 3m over Flower, so many that they are the agents asked for (3, 30, 300, 1,002: a multiple of 3), for
three rounds of a few battles; teams with short battles play a fourth. Without `--tls` that is `pps-qmix train`. With
`--tls` it is a federation as docs/edge.md starts one, with certificates of `pps-qmix certs`, devices that prove who
they are, and `pps-qmix submit`.
Prints for each number of agents:

- the most memory that all processes took together, and one agent process (what several share is divided, PSS),
- the most threads of an agent process,
- the CPU-seconds of the whole run, and those of the agent processes,
- the seconds of a round and their parts, of rounds in which all agents took part but for the first, which fills the
  buffers,
- the seconds before the first round and the others outside rounds: starts, checkpoints, rows and reports,
- the bytes of the tensors in a device's message, in which the same weights travel once, and in its answer,
- the bytes of a checkpoint and of a round's row.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import IO

import psutil
from safetensors.numpy import save

from benchmarks.secure_federation import SecureFederation
from operations.members import Teams
from server.checkpoints import newest_checkpoint, whole_checkpoints
from server.run_directory import now_path, read_rows

N_AGENTS = 3  # of a team of 3m
_LOOK_EVERY = 2.0  # seconds
_AGENT = "client.resident"
_FIGURES = ("environ", "cmdline", "memory_full_info", "num_threads", "cpu_times")
_BATTLES = ("--map", "3m", "--battles", "8")
# Rounds of 8 battles, of up to 60 steps each; the last is cut where the steps are done.
_SMALL = (
    "--batch-size 8 --buffer-size 100 --aggregation-every 8 --train-per-battle 1.0 --evaluate-battles 8 "
    "--evaluate-every 100000"
)
_STEPS = 800  # environment steps of a team: the third round takes most teams there


@dataclass
class Most:
    """The most that was seen of memory, in bytes, of processes and threads; CPU-seconds; when the first round began."""

    home: Path  # $PPS_HOME of the processes to look at
    run: Path
    together: int = 0
    agent: int = 0
    threads: int = 0  # of an agent process
    processes: int = 0
    cpu: dict[int, float] = field(default_factory=dict)  # by process
    agents_cpu: dict[int, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    first_round: float | None = None  # seconds after the beginning

    def look(self) -> None:
        """Look at all processes, and at what the run is at."""
        if self.first_round is None and '"round"' in _text(now_path(self.run)):
            self.first_round = time.monotonic() - self.began
        together = agent = threads = processes = 0
        for process in psutil.process_iter(_FIGURES):
            found = process.info["memory_full_info"]
            if (process.info["environ"] or {}).get("PPS_HOME") != str(self.home) or not found:
                continue
            together, processes = together + found.pss, processes + 1
            used = self.cpu[process.pid] = process.info["cpu_times"].user + process.info["cpu_times"].system
            if _AGENT in " ".join(process.info["cmdline"] or []):
                agent, threads = max(agent, found.pss), max(threads, process.info["num_threads"])
                self.agents_cpu[process.pid] = used
        self.together, self.agent = max(self.together, together), max(self.agent, agent)
        self.processes, self.threads = max(self.processes, processes), max(self.threads, threads)


def measure(agents: int, devices: int, flags: Sequence[str], *, tls: bool) -> str:
    """Play a run of so many agents and return its line. Raises RuntimeError with what it said if it fails."""
    teams = Teams(agents // N_AGENTS, N_AGENTS)
    devices = min(devices, agents)
    with tempfile.TemporaryDirectory(prefix="pps-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        home, runs = folder / "home", folder / "runs"
        run = runs / "scale"
        most = Most(home, run)
        settings = [*_BATTLES, *_SMALL.split(), "--run", "scale", "--teams", str(teams.count)]
        settings += ["--devices", str(devices), "--total-steps", str(_STEPS), *flags]
        started = _over_tls if tls else _trained
        with open(folder / "said", "w+", encoding="utf-8") as said:
            with started(folder, home, teams, devices, settings, said) as process:
                while process.poll() is None:
                    most.look()
                    time.sleep(_LOOK_EVERY)
            took = time.monotonic() - most.began
            said.seek(0)
            if process.returncode:
                raise RuntimeError(f"{agents} agents: the run failed:\n{said.read()}")
        rows = [row for row in read_rows(run) if row["kind"] == "round"]
        whole = [row for row in rows if len(row["seats"]) == agents]
        seconds = [row["seconds"] for row in whole[1:] or rows]
        parts = ", ".join(f"{part} {fmean(each[part] for each in seconds):.1f}" for part in seconds[0])
        sent, received = _message_sizes(run, -(-agents // devices))
        kept = sum(path.stat().st_size for path in whole_checkpoints(run)[-1].iterdir())
        first = most.first_round or 0.0
        rest = took - first - sum(row["seconds"]["round"] for row in rows)
        cpu, agents_cpu = (sum(each.values()) for each in (most.cpu, most.agents_cpu))
        longest = max(len(json.dumps(row)) for row in rows)
        said_of = [
            f"{agents:>6,} agents, {teams.count} teams, {devices} devices, {'TLS' if tls else 'plaintext'}",
            f"{most.together / 1e6:,.0f} MB in {most.processes} processes, the largest agent process "
            f"{most.agent / 1e6:,.0f} MB and {most.threads} threads",
            f"{len(rows)} rounds, the first after {first:.0f} s in {rows[0]['seconds']['round']:.1f} s",
            f"then s a round: {parts}",
            f"{rest:.0f} s outside rounds, {took:.0f} s in all",
            f"{cpu:.0f} CPU-seconds, {agents_cpu:.0f} of them of agents",
            f"a device is sent {sent / 1e6:.2f} MB a round and sends {received / 1e6:.2f} MB",
            f"a checkpoint has {kept / 1e6:.1f} MB, a row {longest / 1e3:,.0f} kB",
            f"load average {os.getloadavg()[0]:.0f}",
        ]
        return "; ".join(said_of)


@contextmanager
def _trained(
    folder: Path, home: Path, _teams: Teams, _devices: int, settings: Sequence[str], said: IO[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run of `pps-qmix train`."""
    command = [sys.executable, "-m", "cli.main", "train", "--runtime", "flower", "--runs", str(folder / "runs")]
    environment = {**os.environ, "PPS_HOME": str(home)}
    yield subprocess.Popen([*command, "--no-memory-check", *settings], env=environment, stdout=said, stderr=said)


@contextmanager
def _over_tls(
    folder: Path, home: Path, teams: Teams, devices: int, settings: Sequence[str], said: IO[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the parts of a federation, each by its own command, and submit a run to it."""
    members = [teams.member(number) for number in teams.numbers]
    bounds = [len(members) * device // devices for device in range(devices + 1)]
    held = [members[bounds[device] : bounds[device + 1]] for device in range(devices)]
    proxy = [*_BATTLES, *(word for name in teams.arenas("main") for word in ("--arena", name))]
    with closing(SecureFederation(folder, home, held, proxy)) as federation:
        yield federation.submit(folder / "runs", settings, said)


def _text(path: Path) -> str:
    """Return what is in a file, nothing if it does not exist."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _message_sizes(run: Path, members: int) -> tuple[int, int]:
    """Return the bytes of the tensors in a device's message, and in its answer."""
    checkpoint = newest_checkpoint(run)
    assert checkpoint is not None
    own = checkpoint.agents[0]
    sent = len(save({f"0/{name}": tensor for name, tensor in own.items()}))
    answer = {f"{number}/{name}": tensor for number in range(members) for name, tensor in own.items()}
    return sent, len(save(answer))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", allow_abbrev=False)
    parser.add_argument("--agents", default="3,30", help="numbers of agents, each a multiple of 3 (default: 3,30)")
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--tls", action="store_true", help="over TLS, with devices that prove who they are")
    options, flags = parser.parse_known_args(arguments)
    wanted = [int(number) for number in options.agents.split(",")]
    if wrong := [number for number in wanted if number < N_AGENTS or number % N_AGENTS]:
        parser.error(f"agents: expected multiples of {N_AGENTS}, found {', '.join(map(str, wrong))}")
    for number in wanted:
        print(measure(number, options.devices, flags, tls=options.tls), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
