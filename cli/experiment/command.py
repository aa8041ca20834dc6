"""`pps-qmix experiment FILE.toml`: plays what the file asks for and is not there yet, and writes what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing, nullcontext
from importlib.util import find_spec
from pathlib import Path

from rich.table import Column, Table

from cli import memory
from cli.cores import cores
from cli.experiment import estimate
from cli.experiment.folder import Folder
from cli.experiment.processes import Ended, play_all
from cli.experiment.progress import ExperimentDisplay, show_failed
from cli.experiment.results import Result, measured_per_step, result, write_csv
from cli.experiment.schedule import Entry, State, left, schedule
from cli.experiment.spec import Experiment, SpecError, parse_experiment
from cli.plain_console import PlainConsole
from envproxy.backend import MapSpec, create_backend
from operations.files import read_text
from operations.paths import shown, user_path
from server.run_directory import read_rows

_RUN_FAILED = 1


class ExtraMissingError(ValueError):
    """What the extra `experiment` installs is not there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a TOML file: maps, methods, seeds, settings")
    parser.add_argument("--out", metavar="FOLDER", help="of runs and results (default: results/NAME)")
    parser.add_argument("--jobs", type=int, default=cores(), metavar="N", help="runs at once (default: all cores)")
    memory.add_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="list the runs and how long they may take, play none")


def run(options: argparse.Namespace) -> int:
    """Play the runs; 1 if any failed. Raises SpecError and other ValueErrors, InUseError, RunDirectoryError."""
    if options.jobs < 1:
        raise ValueError(f"jobs: expected at least 1, found {options.jobs}")
    experiment, text = _read(user_path(options.file))
    folder = Folder(user_path(options.out or Path("results") / experiment.name).absolute())
    console = PlainConsole()
    if options.dry_run:
        _show_plan(schedule(experiment.runs, folder), folder, options.jobs, console)
        return 0
    if find_spec("scipy") is None:
        raise ExtraMissingError("experiments need SciPy for their statistics: pip install 'pps-qmix[experiment]'")
    with folder.locked() if folder.played else nullcontext():
        entries = schedule(experiment.runs, folder)  # what is wrong is told before anything is made
    if not options.no_memory_check:
        memory.check_side_by_side([_memory(entry) for entry in left(entries)], options.jobs)
    folder.make()
    with folder.locked() as lock:
        entries = schedule(experiment.runs, folder)
        (folder.path / "experiment.toml").write_text(text, encoding="utf-8")
        failed = _play(entries, experiment, folder, lock, options.jobs, console)
    console.say(f"results: {shown(folder.path / 'results.md')}")
    if failed:
        show_failed(failed, folder, console)
        console.say("the same command goes on with them")
        return _RUN_FAILED
    return 0


def _read(path: Path) -> tuple[Experiment, str]:
    try:
        text = read_text(path)
        return parse_experiment(text), text
    except UnicodeDecodeError:
        raise SpecError(f"{path}: is no text in UTF-8") from None
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except SpecError as error:
        raise SpecError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def _play(
    entries: Sequence[Entry], experiment: Experiment, folder: Folder, lock: int, jobs: int, console: PlainConsole
) -> list[Ended]:
    """Play what is left; return the runs that failed. Results are written after each run that ends, and in the end."""
    todo = left(entries)
    finished = [entry for entry in entries if entry.state is State.FINISHED]
    for entry in finished:
        folder.forget_devices(entry.run.name)
    console.say(
        f"{experiment.name}: {len(entries)} runs, {len(finished)} finished, {jobs} at once; in {shown(folder.path)}"
    )
    failed: list[Ended] = []
    try:
        with (
            ExperimentDisplay(folder, len(entries), len(finished), console) as display,
            closing(play_all(todo, folder, lock, jobs, display.look)) as events,
        ):
            for event in events:
                display.tell(event)
                if not isinstance(event, Ended):
                    continue
                if event.reason is None:
                    folder.forget_devices(event.run.name)
                    write_results(experiment, folder, [event.run.map])
                else:
                    failed.append(event)
    finally:  # after an interrupt too: what the runs that were cut have reached
        write_results(experiment, folder, experiment.maps)
    return failed


def write_results(experiment: Experiment, folder: Folder, maps: Sequence[str]) -> None:
    """Write the rows and tables of all runs as they are now, and the figures of `maps`."""
    from cli.experiment.cells import cells  # noqa: PLC0415 - the extra `experiment`, and matplotlib's second
    from cli.experiment.figures import draw_map  # noqa: PLC0415
    from cli.experiment.table import write_table  # noqa: PLC0415

    results = _results(schedule(experiment.runs, folder), folder)
    write_csv(folder.path / "results.csv", results)
    found = cells(results, experiment.maps, experiment.methods)
    for map_ in maps:
        draw_map(folder.path, [cell for cell in found if cell.map == map_])
    write_table(folder.path / "results.md", experiment.name, found)


def _results(entries: Sequence[Entry], folder: Folder) -> list[Result]:
    return [result(entry, read_rows(folder.run(entry.run.name))) for entry in entries]


def _show_plan(entries: Sequence[Entry], folder: Folder, jobs: int, console: PlainConsole) -> None:
    """List the runs, and about how long each takes and all of them."""
    agents = {each.run.map: _agents(each) for each in {entry.run.map: entry for entry in entries}.values()}
    measured = measured_per_step(_results(entries, folder))
    table = Table(Column("run", no_wrap=True), "method", "state", "steps left", "about", box=None)
    to_play = []
    for entry in entries:
        run = entry.run
        seconds = estimate.seconds_left(entry, agents[run.map], measured.get(run.map))
        if entry.state is not State.FINISHED:
            to_play.append(seconds)
        about = estimate.shown(seconds) if seconds else ""
        table.add_row(run.name, run.method.name, entry.state.value, f"{entry.steps_left:,}", about)
    console.print(table)
    if not to_play:
        console.say(f"all {len(entries)} runs are finished")
        return
    console.say(
        f"{len(to_play)} of {len(entries)} runs to play, {jobs} at once: about "
        f"{estimate.shown(estimate.seconds_of_all(to_play, jobs))} if each has a core to itself"
    )


def _memory(entry: Entry) -> int:
    return memory.in_process(_spec(entry), entry.run.settings, entry.run.settings.threads or 1)


def _agents(entry: Entry) -> int:
    return _spec(entry).n_agents


def _spec(entry: Entry) -> MapSpec:
    backend = create_backend(entry.run.settings.backend, entry.run.map, 1)
    backend.close()
    return backend.spec
