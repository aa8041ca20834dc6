"""Shows how far an experiment is: a line for each run that is played; on a file or pipe, one when it starts or ends."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from cli.plain_console import PlainConsole
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.processes import Ended, Started
from pps_qmix.experiment.schedule import Entry, State
from pps_qmix.experiment.spec import PlannedRun
from server.report.summary import result_of
from server.report.words import percent
from server.run_directory import read_rows

_LOOK_EVERY = 2.0  # seconds between two looks into the run directories


class ExperimentDisplay:
    """Is told of runs that start and end, and looks at those between."""

    def __init__(self, folder: Folder, runs: int, finished: int, console: PlainConsole) -> None:
        self._folder = folder
        self._runs = runs
        self._ended = finished  # of all runs, also those of earlier commands
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._all = self._progress.add_task("all runs", total=runs, completed=finished, unit="runs", note="")
        self._playing: dict[str, tuple[TaskID, PlannedRun]] = {}
        self._looked = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def tell(self, event: Started | Ended) -> None:
        """Show that a run has started or ended."""
        if isinstance(event, Started):
            self._start(event.entry)
        else:
            self._end(event)

    def look(self) -> None:
        """Show how far the runs are that are played now."""
        if self._progress.disable or time.monotonic() < self._looked + _LOOK_EVERY:
            return
        self._looked = time.monotonic()
        for name, (task, _) in self._playing.items():
            rows = read_rows(self._folder.run(name))
            steps = max((row["steps"] for row in rows if row["kind"] == "round"), default=0)
            rates = [row["win-rate"] for row in rows if row["kind"] == "evaluation"]
            self._progress.update(task, completed=steps, note=f"win rate {percent(rates[-1])}" if rates else "")

    def _start(self, entry: Entry) -> None:
        run = entry.run
        where = f" resumes from step {entry.steps:,}" if entry.state is State.CUT else " starts"
        if self._progress.disable:
            self._say(f"{run.name}{where}")
        total = run.settings.total_steps
        task = self._progress.add_task(run.name, total=total, completed=entry.steps, unit="steps", note="")
        self._playing[run.name] = (task, run)

    def _end(self, event: Ended) -> None:
        name = event.run.name
        self._progress.remove_task(self._playing.pop(name)[0])
        self._ended += 1
        self._progress.update(self._all, completed=self._ended)
        count = f"{self._ended}/{self._runs}"
        if event.reason is None:
            said = result_of(read_rows(self._folder.run(name))).get("last test win rate", "none")
            self._say(f"{count} {name} finished: last test win rate {said}")
        else:
            self._say(f"{count} {name} failed: {event.reason}")

    def _say(self, line: str) -> None:
        self._console.say(line)


def show_failed(failed: list[Ended], folder: Folder, console: PlainConsole) -> None:
    """Show a table of the runs that failed, and where to read more."""
    table = Table(Column("run that failed", no_wrap=True), "why", "log", box=None)
    for each in failed:
        log = folder.log(each.run.name).relative_to(folder.path)
        table.add_row(each.run.name, each.reason or "", str(log))
    console.print(table)
