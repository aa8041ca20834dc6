"""What is done and what is left, from real run directories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import build_parser
from operations.locks import InUseError
from operations.simulator import SIMULATOR
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.processes import command
from pps_qmix.experiment.schedule import State, left, schedule
from pps_qmix.experiment.spec import SpecError, parse_experiment
from tests.cli.experiment.small import SMALL, begin


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "out")
    folder.make()
    return folder


def test_a_run_is_new_or_cut_or_finished(folder: Folder) -> None:
    runs = parse_experiment(SMALL).runs
    begin(folder, runs[1], steps=20_000)
    begin(folder, runs[2], steps=19_999)
    begin(folder, runs[3])  # cut in its first round
    entries = schedule(runs, folder)
    assert [(entry.state, entry.steps, entry.steps_left) for entry in entries[:4]] == [
        (State.NEW, 0, 20_000),
        (State.FINISHED, 20_000, 0),
        (State.CUT, 19_999, 1),
        (State.CUT, 0, 20_000),
    ]
    # those that were cut come first: the sooner the finished runs can be compared
    assert [entry.run for entry in left(entries)] == [*runs[2:4], runs[0], *runs[4:]]


def test_a_checkpoint_that_is_not_whole_does_not_count(folder: Folder) -> None:
    run = parse_experiment(SMALL).runs[0]
    path = begin(folder, run, steps=9_000)
    (path / "checkpoints" / "round-000002.tmp").mkdir()
    (entry,) = schedule([run], folder)
    assert (entry.state, entry.steps) == (State.CUT, 9_000)


def test_an_experiment_of_another_simulator_is_not_continued(folder: Folder) -> None:
    runs = parse_experiment(SMALL).runs
    path = begin(folder, runs[0], steps=20_000) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "simulator": 1}))
    with pytest.raises(SpecError) as refused:
        schedule(runs, folder)
    assert str(refused.value) == (
        f"{runs[0].name} in {folder.runs}: simulator version 1 played the battles, and this pps-qmix has version "
        f"{SIMULATOR}; choose another --out, or remove what is there"
    )


def test_seeds_maps_and_methods_can_be_added(folder: Folder) -> None:
    for run in parse_experiment(SMALL).runs:
        begin(folder, run, steps=20_000)
    more = SMALL.replace("[4, 2]", "[4, 9, 2]").replace('"2s3z"]', '"2s3z", "8m"]')
    todo = left(schedule(parse_experiment(more).runs, folder))
    assert len(todo) == 2 * 3 * 3 - 8
    assert all(entry.run.seed == 9 or entry.run.map == "8m" for entry in todo)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gamma": 0.5}, "gamma: the run began with 0.5, a resumed run cannot change it"),
        ({"total_steps": 10_000}, "total-steps: the run began with 10000, now it is 20000"),
    ],
)
def test_a_run_that_was_begun_otherwise_is_told_before_anything_starts(
    folder: Folder, changes: dict[str, float], said: str
) -> None:
    runs = parse_experiment(SMALL).runs
    for run in runs[:3]:
        begin(folder, run, steps=10_000, **changes)
    with pytest.raises(SpecError) as caught:
        schedule(runs, folder)
    first = f"{runs[0].name} and 2 more in {folder.runs}: {said}"
    assert str(caught.value) == f"{first}; choose another --out, or remove what is there"


def test_the_command_of_a_new_run_names_all_that_it_must_differ_in(folder: Folder) -> None:
    run = parse_experiment(SMALL.replace("batch-size = 16", 'rules = "step-mul=4, reward-sparse=true"')).runs[2]
    (entry,) = schedule([run], folder)
    words = command(entry, folder)
    options = vars(build_parser().parse_args(words[words.index("train") :]))
    named = {name.removeprefix("setting:"): value for name, value in options.items() if value is not None}
    assert named["runtime"] == "in-process"
    assert named["runs"] == str(folder.runs)
    assert named["run"] == "2s3z-a-pps-vdn-solo-s4"
    assert named["rules"] == "step-mul=4, reward-sparse=true"
    assert named["epsilon-steps"] == "70000"
    assert named["learning-rate"] == "0.002"
    assert named["threads"] == "1"  # of several runs at once none takes the others' cores
    assert "hidden" not in named


def test_the_same_command_resumes_a_cut_run_with_the_file_as_it_is_now(folder: Folder) -> None:
    begin(folder, parse_experiment(SMALL).runs[0])
    run = parse_experiment(SMALL.replace("batch-size = 16", 'batch-size = 16\nthreads = 2\ndevice = "auto"')).runs[0]
    (entry,) = schedule([run], folder)
    flags = ["--resume", str(folder.run(run.name)), "--threads=2", "--device=auto"]
    assert command(entry, folder)[-4:] == flags


def test_only_one_plays_in_a_folder(folder: Folder) -> None:
    with folder.locked(), pytest.raises(InUseError, match="is in use: another `pps-qmix experiment`"), folder.locked():
        pass
    with folder.locked():
        pass


def test_only_a_finished_run_s_devices_are_forgotten(folder: Folder) -> None:
    for name in ("a", "b"):
        (folder.devices / name / f"id-{name}" / "seat-0").mkdir(parents=True)
        (folder.devices / "mixers" / f"id-{name}").mkdir(parents=True)
        folder.run(name).mkdir(parents=True)
        (folder.run(name) / "run.json").write_text(json.dumps({"id": f"id-{name}", "settings": {}}))
    folder.forget_devices("a")
    folder.forget_devices("never begun")
    assert {str(path.relative_to(folder.devices)) for path in folder.devices.glob("*/*")} == {"b/id-b", "mixers/id-b"}
