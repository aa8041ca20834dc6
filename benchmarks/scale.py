"""What a federation of many teams costs on this machine: memory, seconds a round, sizes of messages.

python -m benchmarks.scale [--agents 3,30] [--devices 8] [any flag of `pps-qmix train`]

Trains teams of 3m over Flower, so many that they are the agents asked for (3, 30, 300, 1,002: a multiple of 3), for
three rounds of a few battles. Prints for each number of agents:

- the most memory that all processes took together, and one agent process (what several share is divided, PSS),
- the seconds of a round and their parts, without the first round, which fills the buffers,
- the bytes of the tensors in a device's message, in which the same weights travel once, and in its answer.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import psutil
from safetensors.numpy import save

from server.checkpoints import newest_checkpoint
from server.run_directory import read_rows

N_AGENTS = 3  # of a team of 3m
_LOOK_EVERY = 3.0  # seconds
_AGENT = "client.resident"
# Three rounds of 8 battles, of up to 60 steps each; the last is cut where the steps are done.
_SMALL = (
    "--map 3m --battles 8 --batch-size 8 --buffer-size 100 --aggregation-every 8 --train-per-battle 1.0 "
    "--evaluate-battles 8 --evaluate-every 100000"
)
_STEPS = 800  # environment steps of a team: the third round takes it there


@dataclass
class Memory:
    """The most that was seen, in bytes."""

    together: int = 0
    agent: int = 0
    processes: int = 0
    free: float = field(default_factory=lambda: float(psutil.virtual_memory().available))

    def look(self, home: Path) -> None:
        """Look at all processes with this $PPS_HOME."""
        together = agent = processes = 0
        for process in psutil.process_iter(["environ", "cmdline", "memory_full_info"]):
            if (process.info["environ"] or {}).get("PPS_HOME") != str(home) or not process.info["memory_full_info"]:
                continue
            pss = process.info["memory_full_info"].pss
            together, processes = together + pss, processes + 1
            if _AGENT in " ".join(process.info["cmdline"] or []):
                agent = max(agent, pss)
        self.together, self.agent = max(self.together, together), max(self.agent, agent)
        self.processes = max(self.processes, processes)


def measure(agents: int, devices: int, flags: Sequence[str]) -> str:
    """Play a run of so many agents and return its line. Raises RuntimeError with what it said if it fails."""
    teams = agents // N_AGENTS
    with tempfile.TemporaryDirectory(prefix="pps-") as name:
        home, runs = Path(name) / "home", Path(name) / "runs"
        command = [
            *(sys.executable, "-m", "cli.main", "train", "--runtime", "flower", "--runs", str(runs), "--run", "scale"),
            *("--teams", str(teams), "--devices", str(devices), "--total-steps", str(_STEPS)),
            *("--no-memory-check", *_SMALL.split(), *flags),
        ]
        memory = Memory()
        began = time.monotonic()
        with open(Path(name) / "said", "w+", encoding="utf-8") as said:
            environment = {**os.environ, "PPS_HOME": str(home)}
            process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
            while process.poll() is None:
                memory.look(home)
                time.sleep(_LOOK_EVERY)
            took = time.monotonic() - began
            said.seek(0)
            if process.returncode:
                raise RuntimeError(f"{agents} agents: the run failed:\n{said.read()}")
        rounds = [row for row in read_rows(runs / "scale") if row["kind"] == "round"]
        seconds = [row["seconds"] for row in rounds[1:] or rounds]
        parts = ", ".join(f"{part} {fmean(each[part] for each in seconds):.1f}" for part in seconds[0])
        sent, received = _message_sizes(runs / "scale", -(-agents // min(devices, agents)))
        return (
            f"{agents:>6,} agents, {teams} teams, {min(devices, agents)} devices: {memory.together / 1e6:,.0f} MB in "
            f"{memory.processes} processes, the largest agent process {memory.agent / 1e6:,.0f} MB; {len(rounds)} "
            f"rounds, s a round: {parts}; a device is sent {sent / 1e6:.2f} MB a round and sends {received / 1e6:.2f} "
            f"MB; {took:.0f} s in all; load average {os.getloadavg()[0]:.0f}"
        )


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
    options, flags = parser.parse_known_args(arguments)
    wanted = [int(number) for number in options.agents.split(",")]
    if wrong := [number for number in wanted if number < N_AGENTS or number % N_AGENTS]:
        parser.error(f"agents: expected multiples of {N_AGENTS}, found {', '.join(map(str, wrong))}")
    for number in wanted:
        print(measure(number, options.devices, flags), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
