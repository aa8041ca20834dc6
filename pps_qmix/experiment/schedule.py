"""What is done of an experiment and what is left, as its folder says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from pps_qmix.configuration import Value, default_config, kept_settings
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.spec import PlannedRun, SpecError
from server.checkpoints import newest_checkpoint_steps
from server.run_directory import check_unchanged, has_run, other_simulator_of
from server.settings import Settings, SettingsError

_NOT_NAMED = {"run", "runs", "resume"}  # they follow from the folder
_AS_IN_THE_FILE = ("threads", "device")  # of a resumed run, too: they may change


class State(Enum):
    """How far a run is."""

    NEW = "new"
    CUT = "resumes"
    FINISHED = "finished"


class Entry(NamedTuple):
    """A run and how far it is."""

    run: PlannedRun
    state: State
    steps: int  # environment steps up to the newest checkpoint

    @property
    def steps_left(self) -> int:
        return max(self.run.settings.total_steps - self.steps, 0)

    @property
    def named(self) -> dict[str, Value]:
        """The settings that are named to play it: those that differ from the defaults; to resume it, those that may
        change."""
        config, defaults = self.run.settings.config(), default_config()
        if self.state is not State.NEW:
            return {name: config[name] for name in _AS_IN_THE_FILE}
        return {name: value for name, value in config.items() if name not in _NOT_NAMED and value != defaults[name]}


def schedule(runs: Iterable[PlannedRun], folder: Folder) -> list[Entry]:
    """Say how far every run is. Raises SpecError if some were begun with other settings, or by another simulator."""
    runs = list(runs)
    _check_begun(runs, folder)
    return [_entry(run, folder.run(run.name)) for run in runs]


def left(entries: Iterable[Entry]) -> list[Entry]:
    """Return what is to be played: first the runs that were cut, then the new ones."""
    return sorted((each for each in entries if each.state is not State.FINISHED), key=lambda e: e.state is State.NEW)


def seeds_together(entries: Iterable[Entry], as_one: Callable[[Settings], bool]) -> list[list[Entry]]:
    """Return the runs by process, in their order: those `as_one` that differ only in the seed are in one."""
    processes: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        run = entry.run
        processes.setdefault((run.map, run.method) if as_one(run.settings) else run.name, []).append(entry)
    return list(processes.values())


def _entry(run: PlannedRun, path: Path) -> Entry:
    if not has_run(path):
        return Entry(run, State.NEW, 0)
    steps = newest_checkpoint_steps(path)
    return Entry(run, State.FINISHED if steps >= run.settings.total_steps else State.CUT, steps)


def _check_begun(runs: Iterable[PlannedRun], folder: Folder) -> None:
    """Runs are compared with one another, and a finished one has no buffers to continue with: nothing may change."""
    differing: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        if not has_run(folder.run(run.name)):
            continue
        kept, wanted = kept_settings(folder.run(run.name)), run.settings.config()
        try:
            check_unchanged(kept, wanted)
            if kept.get("total-steps") != wanted["total-steps"]:
                raise SettingsError(
                    f"total-steps: the run began with {kept.get('total-steps')}, now it is {wanted['total-steps']}"
                )
        except SettingsError as error:
            differing[str(error)].append(run.name)
        else:
            if reason := other_simulator_of(folder.run(run.name)):
                differing[reason].append(run.name)
    if differing:
        raise SpecError(
            "\n".join(
                f"{_some(names)} in {folder.runs}: {problem}; choose another --out, or remove what is there"
                for problem, names in differing.items()
            )
        )


def _some(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
