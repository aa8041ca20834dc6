"""Runs that differ only in the seed, played in one process: each on a thread, their training steps taken as one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import NamedTuple

from pps_qmix import training
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.schedule import Entry, State
from pps_qmix.requested_run import RequestedRun, claimed, new_run, resumed_run
from pps_qmix.runtime.meeting import Meeting, Place


class SeedEnded(NamedTuple):
    """A run has ended: it is finished, or there is an exception that says why not."""

    entry: Entry
    error: BaseException | None


def play_seeds(
    entries: Sequence[Entry], folder: Folder, display: Callable[[Entry], training.Display]
) -> Generator[SeedEnded]:
    """Play runs of an experiment to their ends, and tell of each when it ends; a failure stops no other.

    Closing the generator ends the others where they would take training steps next, and waits for that. They can be
    resumed.
    """
    meeting = Meeting(len(entries))
    with ThreadPoolExecutor(len(entries), "run") as threads:
        try:
            playing = {
                threads.submit(_play, entry, folder, place, display(entry)): entry
                for entry, place in zip(entries, meeting.places, strict=True)
            }
            for ended in as_completed(playing):
                yield SeedEnded(playing[ended], ended.exception())
        finally:
            meeting.end()


def _play(entry: Entry, folder: Folder, place: Place, display: training.Display) -> None:
    @contextmanager
    def shown(run: RequestedRun, progress: training.Progress) -> Iterator[training.Tell]:
        with display(run, progress) as tell, place:  # the others do not wait until its pages are written
            yield tell

    with place:  # nor for a run that fails before
        requested = _requested(entry, folder)
        training.check_here(requested, training.IN_PROCESS)
        with claimed(requested) as run:
            training.play_in_process(run, shown, place.take)


def _requested(entry: Entry, folder: Folder) -> RequestedRun:
    if entry.state is not State.NEW:
        return resumed_run(folder.run(entry.run.name), entry.named)
    return new_run({**entry.named, "runs": str(folder.runs), "run": entry.run.name})
