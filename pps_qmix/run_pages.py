"""The pages that a run's end adds: its recorded battles, the report that links them, the comparison of its folder.

None of them fails the run: what cannot be written is logged.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from operations.files import replace_file
from operations.memory import memory
from operations.paths import shown
from operations.simulator import BACKEND
from pps_qmix.comparison.page import write_index
from pps_qmix.runtime.memory import PROCESS
from pps_qmix.runtime.processes import Part
from server.checkpoints import newest_checkpoint_steps
from server.report.page import write_report
from server.run_directory import has_run, read_rows, read_run, report_path, watch_path

log = logging.getLogger("pps_qmix")

_BATTLES: Final = 3
_COMPARED: Final = 40  # newest runs of the folder: more would take seconds
_LIMIT: Final = 2.0  # seconds that the end of a run waits for the process that records its battles


def record_battles(run: Path) -> None:
    """Record battles of a run's newest checkpoint in this process, if the simulator played it."""
    with _logged(f"the battles of {run}"):
        if _is_recordable(run):
            watch_path(run).unlink(missing_ok=True)
            from pps_qmix.viewer.page import make_page  # noqa: PLC0415 - these load PyTorch and the simulator
            from pps_qmix.viewer.recorded_battles import film_run  # noqa: PLC0415

            replace_file(watch_path(run), make_page(film_run(run, None, _BATTLES, None)).encode())


def recording_command(run: Path, page: Path) -> list[str]:
    """Return the command that records battles of a run's newest checkpoint in `page`."""
    watch = [sys.executable, "-P", "-m", "pps_qmix_command", "watch", str(run)]
    return [*watch, "--battles", str(_BATTLES), "--out", str(page)]


class Recording:
    """Records battles as `record_battles` does, in a process beside the end of a run: this one has not loaded PyTorch.

    Use as a context manager around the run. At the end the process has some seconds left.
    """

    def __init__(self, run: Path, total_steps: int) -> None:
        self._run = run
        self._total_steps = total_steps
        self._part: Part | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if self._part is not None:
            try:
                self._part.wait(_LIMIT if kind is None else 0.0)
            finally:
                self._part.kill()

    def look(self) -> None:
        """Begin to record when the last checkpoint of the run is there."""
        if self._part is not None or newest_checkpoint_steps(self._run) < self._total_steps:
            return
        with _logged(f"the battles of {self._run}"):
            if _is_recordable(self._run) and memory().free > PROCESS:  # the run's own processes are still there
                watch_path(self._run).unlink(missing_ok=True)
                log_file = self._run / "logs" / "watch.log"
                log_file.parent.mkdir(exist_ok=True)
                command = recording_command(self._run, watch_path(self._run))
                self._part = Part("the recording of battles", command, log_file)


def write_pages(run: Path) -> None:
    """Write the report of a run once more, which links the recorded battles now, and the comparison of its folder."""
    if not has_run(run):  # it was played on another machine
        return
    with _logged(f"the report of {run}"):
        write_report(report_path(run), read_run(run), read_rows(run))
    with _logged(f"the comparison of the runs in {run.parent}"):
        write_index(run.parent, _COMPARED)


def _is_recordable(run: Path) -> bool:
    """Say whether battles can be played at once: games of StarCraft II take minutes to start."""
    return has_run(run) and read_run(run)["settings"].get("backend", BACKEND) == BACKEND


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log.warning("%s cannot be written: %s", shown(what), shown(str(error)))
