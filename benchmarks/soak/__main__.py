"""Runs a whole federation on this machine for hours and looks at every process of it once a minute.

    python -m benchmarks.soak [--hours 2] [--map 3m] [--faults-every 5] [any flag of `pps-qmix train`]

It starts `pps-qmix train` with the quick preset and ends it when the time is over; Ctrl-C ends it before. The samples
are CSV files in --out; the table is printed at the end, and by `--table DIR` while a soak is on. Exit code 1 if the run
failed or stalled, if it left a process behind, or if a process grew by more than the bounds.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import psutil

from benchmarks.soak.census import disk_use, look, members
from benchmarks.soak.faults import Fault, strike, whole_again
from benchmarks.soak.figures import Progress, fault_table, figures, problems, table
from benchmarks.soak.record import Record
from pps_qmix.runtime.processes import Part, PartFailedError
from server.metrics import MetricsReader

FAILED, INTERRUPTED = 1, 130
STEPS: Final = 10**12  # more than anybody waits for
LOOK_EVERY: Final = 5.0  # seconds
SAMPLE_EVERY: Final = 60.0
END_LIMIT: Final = 60.0  # seconds that the run has to end everything it started


class SoakError(Exception):
    """The federation did not do what it should; the message says what."""


class Soak:
    """One federation in one folder, and its samples."""

    def __init__(self, folder: Path, flags: Sequence[str], patience: float, faults_every: float | None) -> None:
        """`patience` is how long a round may take, `faults_every` the time between two faults, in seconds."""
        self._record = Record(folder)
        self._folder = folder
        self._flags = flags
        self._patience = patience
        self._faults_every = faults_every
        self._home = folder / "home"  # PPS_HOME, by which all processes are known
        self._run = folder / "run"
        self._rows = MetricsReader(self._run)
        self._round, self._steps = 0, 0  # of the newest round that has ended
        self._began = time.monotonic()

    def play(self, seconds: float) -> None:
        """Return when the time is over. Raises SoakError, PartFailedError, KeyboardInterrupt; all has ended then."""
        with self._federation() as train:
            try:
                self._watch(train, seconds)
            finally:
                self._ended()
                self._sample()

    def _watch(self, train: Part, seconds: float) -> None:
        chance = random.Random(0)
        sample_at, fault_at = 0.0, self._faults_every or float("inf")
        fault: Fault | None = None  # the one that the run still has to get over
        ended_at = 0.0
        while (now := self._now()) < seconds:
            train.check()
            rounds = self._ended()
            if rounds:
                ended_at = now
            if now - ended_at > self._patience:
                raise SoakError(f"no round has ended for {now - ended_at:.0f} s, after round {self._round}")
            if fault is not None and whole_again(rounds, fault.round):
                self._record.add([fault._replace(whole_after=round(now - fault.seconds, 1))])
                fault = None
            if fault is not None and now - fault.seconds > self._patience:
                raise SoakError(
                    f"no round has had all seats since {fault.role} {fault.part} was killed in round {fault.round + 1}"
                )
            if now >= sample_at:
                self._sample()
                sample_at = now + SAMPLE_EVERY
            if fault is None and self._round and now >= fault_at:
                fault = strike(look(self._home, now), self._round, chance)
                fault_at = now + (self._faults_every or 0.0)
            time.sleep(LOOK_EVERY)

    def _ended(self) -> list[dict[str, Any]]:
        """Return the rounds that have ended since the last look."""
        rounds = [row for row in self._rows.read_new() if row["kind"] == "round"]
        if rounds:
            self._round, self._steps = rounds[-1]["round"], rounds[-1]["steps"]
        return rounds

    def _sample(self) -> None:
        now = self._now()
        flower = disk_use(self._run / "flower")
        progress = Progress(
            seconds=round(now, 1),
            round=self._round,
            steps=self._steps,
            run_bytes=disk_use(self._run) - flower,
            flower_bytes=flower,
            device_bytes=disk_use(self._home),
            log_lines=sum(_lines(path) for path in self._folder.rglob("*.log")),
        )
        self._record.add([*look(self._home, now), progress])

    def _now(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def _federation(self) -> Iterator[Part]:
        """Start `pps-qmix train`; in the end nothing of it is left. Raises SoakError if it left something."""
        train = [sys.executable, "-m", "cli.main", "train", "--preset", "quick", "--total-steps", str(STEPS)]
        part = Part(
            "pps-qmix train",
            [*train, *self._flags, "--runs", str(self._folder), "--run", "run"],
            self._folder / "train.log",
            {"PPS_HOME": str(self._home)},
        )
        try:
            yield part
        finally:
            part.ask_to_end()
            deadline = time.monotonic() + END_LIMIT
            while part.running and time.monotonic() < deadline:
                time.sleep(0.1)
            part.kill()
            left = list(members(self._home))
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            if left:
                raise SoakError(f"the run had ended and left {len(left)} processes, which were killed")


def report(record: Record, memory_bound: float, files_bound: float) -> list[str]:
    """Print the tables of the samples, if there is one; return what was out of bounds."""
    progress = record.progress()
    if not progress:
        return []
    length = progress[-1].seconds
    found = figures(record.readings(), length)
    print("\n".join([*table(found, progress), *fault_table(record.faults())]))
    return list(problems(found, length, memory_bound, files_bound))


def _lines(path: Path) -> int:
    with suppress(OSError), open(path, "rb") as file:
        return sum(1 for _ in file)
    return 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return our options, and what is left for `pps-qmix train`."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--hours", type=float, default=2.0, help="(default: %(default)g)")
    parser.add_argument("--out", type=Path, help="new folder of the samples (default: one in runs/, named by the time)")
    parser.add_argument("--table", type=Path, metavar="DIR", help="print the table of the soak in this folder and exit")
    parser.add_argument("--faults-every", type=float, metavar="MINUTES", help="kill a part at random (default: never)")
    parser.add_argument(
        "--patience", type=float, default=15.0, metavar="MINUTES", help="longest round (default: %(default)g)"
    )
    parser.add_argument(
        "--memory-bound", type=float, default=10.0, metavar="MB", help="per hour and process (default: %(default)g)"
    )
    parser.add_argument(
        "--files-bound", type=float, default=10.0, metavar="N", help="per hour and process (default: %(default)g)"
    )
    options, flags = parser.parse_known_args(arguments)
    if options.table is None:
        options.out = (options.out or Path("runs") / f"soak-{datetime.now(UTC):%Y%m%d-%H%M%S}").absolute()
        try:
            options.out.mkdir(parents=True)
        except OSError as error:
            parser.error(f"--out: expected a new folder, found {options.out}: {error.strerror}")
    elif not Record(options.table).progress():
        parser.error(f"--table: there are no samples in {options.table}")
    return options, flags


def main(arguments: Sequence[str]) -> int:
    """Soak; return the exit code."""
    options, flags = _parse(arguments)
    wrong, interrupted = [], False
    if options.table is None:
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell that starts it in the background ignores the first
            signal.signal(number, _interrupt)
        faults_every = None if options.faults_every is None else 60 * options.faults_every
        try:
            Soak(options.out, flags, 60 * options.patience, faults_every).play(3600 * options.hours)
        except (SoakError, PartFailedError) as error:
            wrong.append(str(error))
        except KeyboardInterrupt:
            interrupted = True
    wrong += report(Record(options.table or options.out), options.memory_bound, options.files_bound)
    for line in wrong:
        print(f"benchmarks.soak: {line}", file=sys.stderr)
    if wrong:
        return FAILED
    return INTERRUPTED if interrupted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
