"""Runs in processes of their own. These fail at once; tests/system/test_experiment_command.py has some that play."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.processes import Ended, Started, play_all
from pps_qmix.experiment.schedule import Entry, State
from pps_qmix.experiment.spec import parse_experiment
from pps_qmix.runtime.cores import cores
from tests.cli.experiment.small import SMALL


@pytest.mark.parametrize(("jobs", "order"), [(1, "started ended started ended"), (2, "started started ended ended")])
def test_a_run_that_fails_tells_why_and_stops_no_other(tmp_path: Path, jobs: int, order: str) -> None:
    folder = Folder(tmp_path)
    folder.make()
    runs = parse_experiment(SMALL).runs[:2]
    gone = [Entry(run, State.CUT, 1000) for run in runs]  # their directories were removed
    looks: list[None] = []
    processes = [[entry] for entry in gone]
    with (
        folder.locked() as lock,
        closing(play_all(processes, folder, lock, jobs, lambda: looks.append(None))) as events,
    ):
        told = list(events)
    assert [type(event).__name__.lower() for event in told] == order.split()
    assert [event.entry for event in told if isinstance(event, Started)] == gone
    reasons = {event.run.name: event.reason for event in told if isinstance(event, Ended)}
    assert reasons == {
        run.name: f"{folder.run(run.name)} is not a run directory: it has no readable run.json" for run in runs
    }
    assert looks


def test_there_is_at_least_a_core() -> None:
    assert cores() >= 1
