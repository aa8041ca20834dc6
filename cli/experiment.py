"""`pps-qmix experiment FILE.toml`: plays the runs that the file names and that are not finished; writes results."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.table import Column, Table

from cli import memory_flag
from cli.experiment_progress import ExperimentDisplay, show_failed
from cli.plain_console import PlainConsole
from operations.paths import shown
from pps_qmix.experiment import estimate
from pps_qmix.experiment.experiment import Experiment, map_spec
from pps_qmix.experiment.results import measured_per_step
from pps_qmix.experiment.schedule import Entry, State
from pps_qmix.runtime.cores import cores

_RUN_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a TOML file: maps, methods, seeds, settings")
    parser.add_argument("--out", metavar="FOLDER", help="of runs and results (default: results/NAME)")
    parser.add_argument(
        "--jobs",
        type=int,
        default=cores(),
        metavar="N",
        help="runs at once; the seeds of a method that share a process on CUDA are one (default: all cores)",
    )
    memory_flag.add_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="list the runs and how long they may take, play none")


def run(options: argparse.Namespace) -> int:
    """Play the runs; 1 if any failed. Raises SpecError and other ValueErrors, InUseError, RunDirectoryError."""
    if options.jobs < 1:
        raise ValueError(f"jobs: expected at least 1, found {options.jobs}")
    experiment = Experiment.load(options.file, options.out)
    console = PlainConsole()
    if options.dry_run:
        _show_plan(experiment, options.jobs, console)
        return 0

    def display(entries: Sequence[Entry]) -> ExperimentDisplay:
        finished = sum(entry.state is State.FINISHED for entry in entries)
        console.say(
            f"{experiment.name}: {len(entries)} runs, {finished} finished, {options.jobs} at once; in "
            f"{shown(experiment.folder.path)}"
        )
        return ExperimentDisplay(experiment.folder, len(entries), finished, console)

    outcome = experiment.run(options.jobs, memory_check=not options.no_memory_check, display=display)
    console.say(f"results: {shown(outcome.path / 'results.md')}, {shown(outcome.path / 'index.html')}")
    if outcome.failed:
        show_failed(outcome.failed, experiment.folder, console)
        console.say("the same command resumes them")
        return _RUN_FAILED
    return 0


def _show_plan(experiment: Experiment, jobs: int, console: PlainConsole) -> None:
    """List the runs, and about how long each takes and all of them."""
    entries = experiment.schedule()
    agents = {each.run.map: map_spec(each).n_agents for each in {entry.run.map: entry for entry in entries}.values()}
    measured = measured_per_step(experiment.results(entries))
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
