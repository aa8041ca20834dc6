"""What memory a run over Flower takes on one machine, for each kind of process.

    python -m benchmarks.memory [--rounds 2] [any flag of `pps-qmix train`]

It plays `pps-qmix train` with the quick preset until that many rounds have ended, looks at every process twice a
second, and prints the moment at which all of them together took most. The figure is the proportional share (PSS): a
page that several processes share counts once, divided among them. So the sums are what the machine must have.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.soak.census import Reading, look, members
from pps_qmix.runtime.processes import Part, PartFailedError
from server.metrics import MetricsReader

_LOOK_EVERY = 0.5  # seconds
_END_LIMIT = 60.0  # seconds that the run has to end everything it started
_STEPS = 10**12  # more than is played


def measure(folder: Path, rounds: int, flags: Sequence[str]) -> list[Reading]:
    """Return what all processes took when it was most. Raises PartFailedError if the run fails."""
    home = folder / "home"
    train = [sys.executable, "-m", "cli.main", "train", "--preset", "quick", "--total-steps", str(_STEPS), *flags]
    part = Part(
        "pps-qmix train",
        [*train, "--runs", str(folder), "--run", "run"],
        folder / "train.log",
        {"PPS_HOME": str(home)},
    )
    most: list[Reading] = []
    rows, ended, began = MetricsReader(folder / "run"), 0, time.monotonic()
    try:
        while ended < rounds:
            part.check()
            now = look(home, time.monotonic() - began)
            if _sum(now) > _sum(most):
                most = now
            ended += sum(row["kind"] == "round" for row in rows.read_new())
            time.sleep(_LOOK_EVERY)
    finally:
        _end(part, home)
    return most


def table(readings: Sequence[Reading]) -> list[str]:
    """Return the lines of a table: for every kind of process how many there were, the mean share, the sum, in MB."""
    kinds: dict[str, list[Reading]] = defaultdict(list)
    for each in readings:
        kinds[each.role].append(each)
    lines = ["| process | how many | MB each | MB together |", "|---|---|---|---|"]
    for role, found in sorted(kinds.items(), key=lambda kind: -_sum(kind[1])):
        lines.append(f"| {role} | {len(found)} | {_sum(found) / len(found) / 1e6:.0f} | {_sum(found) / 1e6:.0f} |")
    return [*lines, f"| all | {len(readings)} | | {_sum(readings) / 1e6:.0f} |"]


def _sum(readings: Sequence[Reading]) -> int:
    return sum(each.share for each in readings)


def _end(part: Part, home: Path) -> None:
    part.ask_to_end()
    with suppress(psutil.Error):
        psutil.Process(part.pid).wait(_END_LIMIT)
    part.kill()
    for process in members(home):
        with suppress(psutil.Error):
            process.kill()


def main(arguments: Sequence[str]) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--rounds", type=int, default=2, help="(default: %(default)s)")
    options, flags = parser.parse_known_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = measure(Path(folder), options.rounds, flags)
        except PartFailedError as error:
            print(f"benchmarks.memory: {error}", file=sys.stderr)
            return 1
    print("\n".join(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
