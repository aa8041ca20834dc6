"""Shows how far a run is: steps, rounds, win rate, steps per second, time left."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from cli.pace import Pace, SpeedColumn
from cli.plain_console import PlainConsole
from operations.members import ONE_TEAM, Teams
from server.checkpoints import newest_checkpoint_steps
from server.metrics import MetricsReader
from server.report.summary import spread_of
from server.report.words import percent
from server.run_directory import now_path
from server.seats import wanted

_LOOK_EVERY = 0.5  # seconds
_SAY_EVERY = 30.0  # seconds after which a file or pipe is told how far the round is


class ProgressDisplay:
    """A progress line that follows a run directory.

    A file or pipe gets a line for each evaluation and round, and for what is between them if that takes long. Either is
    told which seats the run waits for.
    `where` tells the round that is on and its environment steps, so that the line moves within a round.
    """

    def __init__(
        self,
        directory: Path,
        total_steps: int,
        where: Callable[[], tuple[int, int] | None],
        console: PlainConsole,
        teams: Teams = ONE_TEAM,
    ) -> None:
        self._console = console
        self._teams = teams
        self._total = total_steps
        self._where = where
        self._progress = Progress(
            BarColumn(bar_width=None),
            TextColumn("{task.fields[share]}"),
            TextColumn("{task.completed:,.0f} steps"),
            TextColumn("round {task.fields[round]}"),
            TextColumn("won {task.fields[win_rate]}"),
            SpeedColumn(Column(no_wrap=True)),
            console=console,
            expand=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(
            "training", total=total_steps, share=percent(0.0), round="-", win_rate="-", speed=None
        )
        self._now = now_path(directory)
        self._now_seen = self._now_written()
        self._waits = True  # no round is on
        self._said_at = time.monotonic()
        self._rows = MetricsReader(directory)
        self._rows.read_new()  # what was played before is not told again
        self._done = newest_checkpoint_steps(directory)
        self._round = 0
        self._pace = Pace()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        self._progress.stop()

    def tell(self, line: str) -> None:
        """Show a line above the progress."""
        self._said_at = time.monotonic()
        self._console.say(line)

    def _follow(self) -> None:
        while not self._stop.wait(_LOOK_EVERY):
            self._look()

    def _look(self) -> None:
        self._look_now()
        for row in self._rows.read_new():
            if row["kind"] == "evaluation":
                won = percent(row["win-rate"])
                self._progress.update(self._task, win_rate=won)
                spread = spread_of(row, "win-rate")
                self.tell(f"step {row['steps']:>9,}: test win rate {won:>5}{spread}, return {row['return']:.2f}")
            else:
                self._done, self._round = row["steps"], row["round"]
                self._pace.note(time.monotonic(), self._done)
                self.tell(
                    f"round {row['round']}: {row['steps']:,} steps ({self._share(row['steps'])}){self._pace.told()}"
                )
        where = self._where()
        within = where[1] if where is not None and where[0] > self._round else 0
        steps = self._done + within
        if self._waits:
            self._pace.start()
        self._pace.note(time.monotonic(), steps)
        shown = str(self._round + (1 if within else 0) or "-")
        speed = self._pace.steps_per_second
        self._progress.update(self._task, completed=steps, share=self._share(steps), round=shown, speed=speed)
        if not self._console.is_terminal and not self._waits and time.monotonic() - self._said_at > _SAY_EVERY:
            self.tell(f"round {self._round + 1} is played: step {steps:,} of {self._total:,}")

    def _look_now(self) -> None:
        """Tell what the run waits for, or that it does no more."""
        written = self._now_written()
        if written == self._now_seen:
            return
        self._now_seen = written
        try:
            now = json.loads(self._now.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if "waiting-for" in now:
            self._waits = True
            self.tell(f"waiting: {wanted(now['waiting-for'], self._teams)}")
        elif self._waits:
            self._waits = False
            self.tell(f"round {now['round']} begins at step {now['steps']:,}")

    def _now_written(self) -> int:
        try:
            return self._now.stat().st_mtime_ns
        except OSError:
            return 0

    def _share(self, steps: int) -> str:
        return percent(min(steps / self._total, 1.0))
