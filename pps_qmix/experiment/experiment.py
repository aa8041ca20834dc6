"""An experiment: its file, its folder, and how its runs are played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import NamedTuple, Protocol, Self, TypeAlias

from envproxy.backend import MapSpec, create_backend
from operations.files import read_text
from operations.paths import user_path
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.processes import Ended, Started, play_all
from pps_qmix.experiment.results import Result, result, write_csv
from pps_qmix.experiment.schedule import Entry, State, left, schedule, seeds_together
from pps_qmix.experiment.spec import Plan, SpecError, parse_experiment
from pps_qmix.runtime import memory
from pps_qmix.runtime.cores import cores
from pps_qmix.training import takes_steps_as_one
from server.run_directory import read_rows


class ExtraMissingError(ValueError):
    """The packages of the extra `experiment` are not installed."""


class Outcome(NamedTuple):
    """What an experiment has given so far."""

    path: Path  # of index.html, results.md, results.csv and the figures
    results: list[Result]  # of every run, also of those that are not finished
    failed: list[Ended]


class Display(Protocol):
    """Shows an experiment while its runs are played."""

    def tell(self, event: Started | Ended) -> None:
        """Show that a run has started or ended."""

    def look(self) -> None:
        """Show how far the runs are; called about twice a second."""


# Shows an experiment, whose runs are given, while the context lasts.
Shown: TypeAlias = Callable[[Sequence[Entry]], AbstractContextManager[Display]]


class Experiment:
    """Runs that compare methods on maps over seeds, as a TOML file names them (docs/experiments.md)."""

    def __init__(self, plan: Plan, text: str, path: Path) -> None:
        """`text` is the file's, `path` the folder of runs and results."""
        self.plan = plan
        self.folder = Folder(path)
        self._text = text

    @classmethod
    def load(cls, file: str | PathLike[str], out: str | PathLike[str] | None = None) -> Self:
        """Read a file; `out` is the folder of runs and results (default: results/NAME).

        Raises SpecError with a line for each problem.
        """
        path = user_path(file)
        try:
            text = read_text(path)
            plan = parse_experiment(text)
        except UnicodeDecodeError:
            raise SpecError(f"{path}: expected a text in UTF-8") from None
        except OSError as error:
            raise SpecError(f"{path}: {error.strerror}") from None
        except SpecError as error:
            raise SpecError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None
        return cls(plan, text, user_path(out or Path("results") / plan.name).absolute())

    @property
    def name(self) -> str:
        return self.plan.name

    def schedule(self) -> list[Entry]:
        """Return the state of every run. Raises SpecError if some began with other settings than they have now."""
        return schedule(self.plan.runs, self.folder)

    def results(self, entries: Sequence[Entry] | None = None) -> list[Result]:
        """Return the evaluations of every run so far."""
        entries = self.schedule() if entries is None else entries
        return [result(entry, read_rows(self.folder.run(entry.run.name))) for entry in entries]

    def run(self, jobs: int | None = None, *, memory_check: bool = True, display: Shown | None = None) -> Outcome:
        """Play the runs that are not finished, in `jobs` processes at once (default: as many as cores).

        Each has a process of its own, but those on CUDA that differ only in the seed, if their agents learn alone:
        they are in one, and take their training steps as one.
        Results are written after each run. The failure of a run stops no other; the next call resumes it.
        Raises SpecError, ExtraMissingError and other ValueErrors, InUseError if another process plays this experiment,
        TooLittleMemoryError, RunDirectoryError.
        """
        jobs = cores() if jobs is None else jobs
        if jobs < 1:
            raise ValueError(f"jobs: expected at least 1, found {jobs}")
        if find_spec("scipy") is None:
            raise ExtraMissingError("experiments need SciPy for their statistics: pip install 'pps-qmix[experiment]'")
        folder = self.folder
        with folder.locked() if folder.played else nullcontext():
            entries = self.schedule()  # a fault is told before anything is made
        if memory_check:
            memory.check_side_by_side([_memory(each) for each in _processes(entries)], jobs)
        folder.make()
        with folder.locked() as lock:
            entries = self.schedule()
            folder.experiment.write_text(self._text, encoding="utf-8")
            failed = self._play(entries, lock, jobs, display or _shown_nowhere)
        return Outcome(folder.path, self.results(), failed)

    def _play(self, entries: Sequence[Entry], lock: int, jobs: int, shown: Shown) -> list[Ended]:
        """Return the runs that failed."""
        folder = self.folder
        for entry in entries:
            if entry.state is State.FINISHED:
                folder.forget_devices(entry.run.name)
        failed: list[Ended] = []
        try:
            with (
                shown(entries) as display,
                closing(play_all(_processes(entries), folder, lock, jobs, display.look)) as events,
            ):
                for event in events:
                    display.tell(event)
                    if not isinstance(event, Ended):
                        continue
                    if event.reason is None:
                        folder.forget_devices(event.run.name)
                        write_results(self, [event.run.map])
                    else:
                        failed.append(event)
        finally:  # after an interrupt too: the rows of the runs that were cut
            write_results(self, self.plan.maps)
        return failed


def write_results(experiment: Experiment, maps: Sequence[str]) -> None:
    """Write the rows and tables of all runs as they are now, and the figures of `maps`."""
    from pps_qmix.experiment.cells import cells  # noqa: PLC0415 - the extra `experiment`, and matplotlib's second
    from pps_qmix.experiment.page import write_page  # noqa: PLC0415
    from pps_qmix.experiment.plots import draw_map  # noqa: PLC0415
    from pps_qmix.experiment.table import write_table  # noqa: PLC0415

    results, path = experiment.results(), experiment.folder.path
    write_csv(path / "results.csv", results)
    found = cells(results, experiment.plan.maps, experiment.plan.methods)
    for map_ in maps:
        draw_map(path, [cell for cell in found if cell.map == map_])
    write_table(path / "results.md", experiment.name, found)
    write_page(path, experiment.name, found, experiment.folder.runs)


def map_spec(entry: Entry) -> MapSpec:
    """Return the sizes of a run's map."""
    backend = create_backend(entry.run.settings.backend, entry.run.map, 1)
    backend.close()
    return backend.spec


def _processes(entries: Sequence[Entry]) -> list[list[Entry]]:
    return seeds_together(left(entries), takes_steps_as_one)


def _memory(process: Sequence[Entry]) -> int:
    """Return what the runs of a process take, in bytes."""
    spec = map_spec(process[0])
    alone = [memory.in_process(spec, entry.run.settings, entry.run.settings.threads or 1) for entry in process]
    return sum(alone) - (len(process) - 1) * memory.PROCESS


class _NoDisplay:
    def tell(self, event: Started | Ended) -> None:
        pass

    def look(self) -> None:
        pass


def _shown_nowhere(_: Sequence[Entry]) -> AbstractContextManager[Display]:
    return nullcontext(_NoDisplay())
