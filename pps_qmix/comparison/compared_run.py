"""What a comparison reads of a run directory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pps_qmix.configuration import default_config
from pps_qmix.status import BROKEN, state_of
from server.report.summary import LAST, Point, Rate, of_kind, played_seconds, points
from server.run_directory import RunDirectoryError, document_path, metrics_path, read_rows, read_run

# What rows lead to that no run has written.
ODD_ROWS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class ComparedRun(NamedTuple):
    """A run directory as it is now. One that cannot be read is broken and has nothing but its path."""

    path: Path
    state: str  # as pps_qmix.status names it
    settings: Mapping[str, Any]  # all, with today's defaults for those that are newer than the run
    simulator: int | None
    tests: list[Point]
    rounds: int
    steps: int  # environment steps of its whole rounds
    seconds: float  # of its rounds

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def final(self) -> Rate | None:
        """The last test; None before the first."""
        return self.tests[-1].own if self.tests else None

    @property
    def last_tests(self) -> Rate | None:
        """The last LAST tests taken together; None before the first."""
        rates = [point.own for point in self.tests[-LAST:]]
        return Rate(sum(rate.won for rate in rates), sum(rate.battles for rate in rates)) if rates else None


def compared_run(path: Path) -> ComparedRun:
    """Read a run directory, as far as it can be read."""
    try:
        return _read(path, read_run(path), read_rows(path))
    except (RunDirectoryError, OSError, *ODD_ROWS):
        return ComparedRun(path, BROKEN, {}, None, [], 0, 0, 0.0)


def runs_in(folder: Path) -> list[Path]:
    """Return the run directories in a folder, which need not be there, by name."""
    return sorted(path.parent for path in folder.glob(str(document_path(Path("*")))))


class Reader:
    """Reads the same run directories again and again, and their rows only if they have changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, ComparedRun]] = {}

    def read(self, paths: Iterable[Path]) -> list[ComparedRun]:
        """Return the runs as they are now."""
        found = {path: self._read(path) for path in paths}
        self._known = found
        return [run for _, run in found.values()]

    def _read(self, path: Path) -> tuple[object, ComparedRun]:
        signs = (sign(document_path(path)), sign(metrics_path(path)))
        known = self._known.get(path)
        if known is None or known[0] != signs:
            return signs, compared_run(path)
        run = known[1]
        if run.state == BROKEN:
            return known
        return signs, run._replace(state=state_of(path, run.steps, int(run.settings["total-steps"])))


def _read(path: Path, document: Mapping[str, Any], rows: list[dict[str, Any]]) -> ComparedRun:
    settings = {**default_config(), **document["settings"]}
    rounds = of_kind(rows, "round")
    steps = int(rounds[-1]["steps"]) if rounds else 0
    tests = points(of_kind(rows, "evaluation"))
    if any(test.steps < 0 or not 0 <= test.own.won <= test.own.battles or not test.own.battles for test in tests):
        raise ValueError("a test has figures that none can have")
    return ComparedRun(
        path,
        state_of(path, steps, int(settings["total-steps"])),
        settings,
        document.get("simulator"),
        tests,
        int(rounds[-1]["round"]) if rounds else 0,
        steps,
        played_seconds(rounds),
    )


def sign(path: Path) -> tuple[int, int, int] | None:
    """Return what differs when a file was written again."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
