"""What a device needs, and what a bad network costs: a coordinator, a battle host and three devices, each a host.

python -m benchmarks.devices [--delay MS] [--loss PERCENT] [any flag of `pps-qmix train`]

Plays the same run over links without and with an impairment, which a device's links lay on what the device sends, as
`tc qdisc add dev ... root netem delay 50ms loss 1%` does. Prints for both, from the end of round 1 on: environment
steps per second, and of every device the memory of all its processes and what went over its links, by the
counters of its interfaces. It takes root on Linux (`benchmarks.hosts`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil

from benchmarks.edge import BATTLES, FLEET, EdgeFederation
from benchmarks.hosts import Hosts, HostsError, Impairment, Traffic, netem
from server.run_directory import read_rows

SEATS = 3
_RUN = "devices"
_METRICS_PORT = 9464
_DAY = 86_400.0
_PARTS = {  # what a process of a device is, by a word of its command
    "client.resident": "agent process",
    "flower-supernode": "SuperNode",
    "flower-superexec": "SuperExec",
    "pps_qmix.runtime.preloaded.loaded": "loaded for them",
    "cli.main": "pps-qmix agent",
}


@dataclass(frozen=True)
class Moment:
    """What the counters say."""

    at: float  # seconds
    rounds: int
    ticks: float
    traffic: list[dict[str, Traffic]]  # of every device, by network


@dataclass(frozen=True)
class Budget:
    """What a run took from the end of its first round on."""

    steps_per_second: float
    seconds_per_round: float
    begun: Moment
    ended: Moment
    memory: list[dict[str, int]]  # of every device: bytes by part

    def moved(self, device: int, network: str) -> Traffic:
        begun, ended = (moment.traffic[device][network] for moment in (self.begun, self.ended))
        return Traffic(ended.sent - begun.sent, ended.received - begun.received)


def memory(home: Path) -> dict[str, int]:
    """Return the memory of a device's processes, in bytes; what several of them share is divided among them (PSS)."""
    found = dict.fromkeys(_PARTS.values(), 0)
    for process in psutil.process_iter(["environ", "cmdline", "memory_full_info"]):
        if (process.info["environ"] or {}).get("PPS_HOME") == str(home):
            line = " ".join(process.info["cmdline"] or [])
            part = next((part for word, part in _PARTS.items() if word in line), None)
            if part is not None:
                found[part] += process.info["memory_full_info"].pss
    return found


def play(impairment: Impairment | None, flags: Sequence[str]) -> Budget:
    """Play a run. Raises HostsError where no hosts can be made, RuntimeError with what it said if the run fails."""
    with tempfile.TemporaryDirectory(prefix="pps-") as name, Hosts() as hosts:
        folder = Path(name)
        proxy = ("--map", "3m", "--preset", "quick", "--metrics-listen", f"127.0.0.1:{_METRICS_PORT}")
        federation = EdgeFederation(hosts, folder, SEATS, proxy, impairment)
        try:
            for seat in range(SEATS):
                federation.start_device(seat)
            with open(folder / "submit.log", "w+", encoding="utf-8") as log:
                process = federation.submit(folder, ["--preset", "quick", "--run", _RUN, *flags], log)
                begun = _at_round(1, process, federation)
                process.wait()
                if process.returncode or begun is None:
                    log.seek(0)
                    raise RuntimeError(f"the run failed, or had one round only:\n{log.read()}")
            ended = _moment(federation)
            homes = [federation.home(f"device-{seat}") for seat in range(SEATS)]
            rows = _rounds(folder)[1:]
            seconds = sum(row["seconds"]["round"] for row in rows)
            played = sum(row["played"] for row in rows)
            return Budget(played / seconds, seconds / len(rows), begun, ended, [memory(home) for home in homes])
        finally:
            federation.close()


def _at_round(number: int, process: subprocess.Popen[str], federation: EdgeFederation) -> Moment | None:
    """Wait for the end of a round; None if the run ends before."""
    while process.poll() is None:
        if len(_rounds(federation.folder)) >= number:
            return _moment(federation)
        time.sleep(0.1)
    return None


def _rounds(folder: Path) -> list[Mapping[str, Any]]:
    run = folder / _RUN
    return [row for row in read_rows(run) if row["kind"] == "round"] if run.exists() else []


def _moment(federation: EdgeFederation) -> Moment:
    hosts = federation.hosts
    traffic = [{net: hosts.traffic(f"device-{seat}", net) for net in (FLEET, BATTLES)} for seat in range(SEATS)]
    return Moment(time.monotonic(), len(_rounds(federation.folder)), _ticks(federation), traffic)


def _ticks(federation: EdgeFederation) -> float:
    """Ask the env proxy."""
    authority = federation.credentials / "coordinator" / "ca.crt"
    ask = (
        f"import http.client, ssl; context = ssl.create_default_context(cafile='{authority}'); "
        f"connection = http.client.HTTPSConnection('127.0.0.1', {_METRICS_PORT}, context=context); "
        "connection.request('GET', '/metrics'); print(connection.getresponse().read().decode())"
    )
    command = federation.hosts.command("battle-host", [sys.executable, "-c", ask])
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in said.splitlines() if line.startswith("pps_qmix_arena_ticks_total{")]
    return float(line.split()[-1])


def show(name: str, budget: Budget) -> None:
    """Print one run."""
    begun, ended = budget.begun, budget.ended
    seconds, ticks, rounds = ended.at - begun.at, ended.ticks - begun.ticks, ended.rounds - begun.rounds
    print(f"\n{name}: {budget.steps_per_second:.0f} environment steps/s, {budget.seconds_per_round:.1f} s a round")
    print("bytes sent, received   a tick (env proxy)   a round (SuperLink)   a day of rounds, MB (both)")
    for device in range(SEATS):
        battles, fleet = budget.moved(device, BATTLES), budget.moved(device, FLEET)
        daily = [(battles.sent + fleet.sent) / seconds, (battles.received + fleet.received) / seconds]
        print(
            f"device {device}               "
            f"{battles.sent / ticks:8.0f}, {battles.received / ticks:<10.0f}"
            f"{fleet.sent / rounds:10.0f}, {fleet.received / rounds:<10.0f}"
            f"{daily[0] * _DAY / 1e6:10.0f}, {daily[1] * _DAY / 1e6:.0f}"
        )
    print(f"over {seconds:.0f} s, {rounds} rounds, {ticks:.0f} ticks")
    print("memory, MB: " + ", ".join(f"{part} {_mean(budget, part):.0f}" for part in _PARTS.values()))
    print("together, MB: " + ", ".join(f"{sum(parts.values()) / 1e6:.0f}" for parts in budget.memory))


def _mean(budget: Budget, part: str) -> float:
    return fmean(parts[part] for parts in budget.memory) / 1e6


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices", allow_abbrev=False)
    parser.add_argument("--delay", type=float, default=50.0, metavar="MS")
    parser.add_argument("--loss", type=float, default=1.0, metavar="PERCENT")
    options, flags = parser.parse_known_args(arguments)
    bad = Impairment(options.delay / 1000, options.loss / 100)
    flags = ["--total-steps", "45000", *flags]
    try:
        budgets = {}
        for name, impairment in (("no impairment", None), (f"{options.delay:g} ms, {options.loss:g} %", bad)):
            budgets[name] = play(impairment, flags)
            show(name, budgets[name])
            print(f"load average {os.getloadavg()[0]:.0f}")
        good, impaired = budgets.values()
        print(f"\nsteps/s with {list(budgets)[1]}, by {netem()}, to without: ", end="")
        print(f"{impaired.steps_per_second / good.steps_per_second:.2f}")
    except HostsError as error:
        print(f"no hosts can be made here: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
