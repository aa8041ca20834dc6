"""Runs that differ only in the seed, in one process: they learn what they learn alone, fail alone and resume."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from learning.stacked import take_together
from pps_qmix.experiment.experiment import Experiment
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.processes import Ended, Started, play_all
from pps_qmix.experiment.schedule import Entry, State, left, schedule, seeds_together
from pps_qmix.experiment.spec import parse_experiment
from server.checkpoints import newest_checkpoint, newest_checkpoint_steps
from server.run_directory import read_rows
from tests.cli.experiment.small import SMALL, tiny
from tests.cli.test_in_process import bits, deeds, figures, play
from tests.waiting import wait_for

SEEDS = (3, 5)
TINY = tiny(SEEDS, steps=700, evaluate_every=300)
NAMES = [f"3m-a-pps-vdn-solo-s{seed}" for seed in SEEDS]

pytestmark = pytest.mark.usefixtures("surroundings", "flower_identity")


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))


def begun(path: Path, text: str = TINY) -> tuple[Folder, list[Entry]]:
    """Return the folder of an experiment as its command makes it, and what is left to be played."""
    folder = Folder(path)
    folder.make()
    folder.experiment.write_text(text)
    return folder, left(schedule(parse_experiment(text).runs, folder))


def play_together(folder: Folder, entries: Sequence[Entry]) -> dict[str, str | None]:
    """Play runs in one process; return why which were not finished."""
    with folder.locked() as lock, closing(play_all([entries], folder, lock, 1, lambda: None)) as events:
        return {event.run.name: event.reason for event in events if isinstance(event, Ended)}


def weights(run: Path) -> dict[Any, np.ndarray[Any, Any]]:
    checkpoint = newest_checkpoint(run)
    assert checkpoint is not None
    return {(seat, name): each for seat, tensors in checkpoint.agents.items() for name, each in tensors.items()}


def test_seeds_played_in_one_process_are_those_played_alone(tmp_path: Path) -> None:
    """Within rounding: battles are padded to the longest of all runs, so sums are added in another order."""
    folder, entries = begun(tmp_path / "together")
    assert play_together(folder, entries) == dict.fromkeys(NAMES)
    for name, seed in zip(NAMES, SEEDS, strict=True):
        alone = play(tmp_path, name, take=take_together, strategy="a-pps", seed=seed).path
        for found, expected in zip(deeds(folder.run(name)), deeds(alone), strict=True):
            assert figures(found) == pytest.approx(figures(expected), rel=1e-4, abs=1e-4)
        for key, tensor in weights(alone).items():
            np.testing.assert_allclose(weights(folder.run(name))[key], tensor, rtol=0, atol=1e-5, err_msg=str(key))
        assert "last test win rate: " in folder.log(name).read_text()
        assert (folder.run(name) / "report.html").exists()
    again, entries = begun(tmp_path / "again")
    play_together(again, entries)
    for name in NAMES:  # which thread is faster makes no difference
        assert bits(newest_checkpoint(again.run(name))) == bits(newest_checkpoint(folder.run(name)))


@pytest.mark.parametrize(
    ("in_the_way", "reason"),
    [("checkpoints", "cannot make {}: File exists"), ("checkpoints/round-000001.tmp", "cannot write {}/checkpoints/")],
    ids=["at once", "after a round"],
)
def test_a_seed_that_fails_is_named_and_the_others_finish(tmp_path: Path, in_the_way: str, reason: str) -> None:
    folder, entries = begun(tmp_path)
    failing, other = (folder.run(name) for name in NAMES)
    (failing / in_the_way).parent.mkdir(parents=True)
    (failing / in_the_way).write_text("not a folder")
    reasons = play_together(folder, entries)
    assert list(reasons) == NAMES
    assert reasons[NAMES[1]] is None
    assert newest_checkpoint_steps(other) >= 700
    told = str(reasons[NAMES[0]])
    assert told.startswith(reason.format(failing))
    assert folder.log(NAMES[0]).read_text().splitlines()[-1] == f"pps-qmix: {told}"


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "asked to end"])
def test_seeds_resume_when_their_process_has_ended(tmp_path: Path, killed: bool) -> None:
    text = tiny(SEEDS, steps=4000, evaluate_every=300)
    folder, entries = begun(tmp_path, text)
    ended: list[psutil.Process] = []

    def end_after_a_round() -> None:
        if not ended and all(newest_checkpoint_steps(folder.run(name)) for name in NAMES):
            ended.extend(playing(folder))
            for process in ended:
                process.kill() if killed else process.terminate()

    with folder.locked() as lock, closing(play_all([entries], folder, lock, 1, end_after_a_round)) as events:
        told = list(events)
    assert len(ended) == 1
    reason = "killed by SIGKILL" if killed else "interrupted"
    assert [event for event in told if isinstance(event, Started)] == [Started(entry) for entry in entries]
    assert {event.run.name: event.reason for event in told if isinstance(event, Ended)} == dict.fromkeys(NAMES, reason)

    before = {name: rounds(folder.run(name)) for name in NAMES}
    folder, entries = begun(tmp_path, text)
    assert [entry.state for entry in entries] == [State.CUT] * 2
    assert play_together(folder, entries) == dict.fromkeys(NAMES)
    for entry in entries:
        after = rounds(folder.run(entry.run.name))
        kept = [row for row in before[entry.run.name] if row["steps"] <= entry.steps]
        assert after[: len(kept)] == kept
        assert [row["round"] for row in after] == list(range(1, len(after) + 1))
        assert after[-1]["steps"] >= 4000


def test_on_cuda_an_experiment_plays_the_seeds_of_a_method_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command believes that there is CUDA. The process that it starts finds none, and plays on the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    text = TINY.replace("hidden = 8", 'hidden = 8\ndevice = "auto"')
    experiment = Experiment(parse_experiment(text), text, tmp_path / "out")
    looks: list[int] = []

    class Display:
        def tell(self, event: Started | Ended) -> None:
            pass

        def look(self) -> None:
            looks.append(len(playing(experiment.folder)))

    outcome = experiment.run(jobs=2, memory_check=False, display=lambda _: nullcontext(Display()))
    assert max(looks) == 1
    assert outcome.failed == []
    assert [(each.run.name, each.finished) for each in outcome.results] == [(name, True) for name in NAMES]
    assert "2 of 2 runs are finished" in (outcome.path / "results.md").read_text()


def test_closing_ends_the_process_of_the_seeds(tmp_path: Path) -> None:
    folder, entries = begun(tmp_path, tiny(SEEDS, steps=10_000_000, evaluate_every=300))
    with folder.locked() as lock, closing(play_all([entries], folder, lock, 1, lambda: None)) as events:
        for _ in entries:
            assert isinstance(next(events), Started)
        wait_for(lambda: all(newest_checkpoint_steps(folder.run(name)) for name in NAMES), "a round of each")
    assert not playing(folder)
    assert [entry.state for entry in begun(tmp_path, tiny(SEEDS, steps=10_000_000, evaluate_every=300))[1]] == [
        State.CUT
    ] * 2


def playing(folder: Folder) -> list[psutil.Process]:
    """The processes that play runs of a folder."""
    found = psutil.process_iter(["cmdline"])
    return [each for each in found if str(folder.runs) in " ".join(each.info["cmdline"] or [])]


def rounds(run: Path) -> list[dict[str, Any]]:
    return [row for row in read_rows(run) if row["kind"] == "round"]


def test_runs_that_differ_only_in_the_seed_share_a_process_if_their_steps_are_taken_as_one(tmp_path: Path) -> None:
    runs = parse_experiment(SMALL).runs
    entries = schedule(runs, Folder(tmp_path))
    by_process = seeds_together(entries, lambda settings: settings.strategy == "a-pps")
    names = [[entry.run.name for entry in process] for process in by_process]
    assert names == [
        ["3m-a-pps-vdn-solo-s4", "3m-a-pps-vdn-solo-s2"],
        ["3m-none-qmix-solo-s4"],
        ["2s3z-a-pps-vdn-solo-s4", "2s3z-a-pps-vdn-solo-s2"],
        ["2s3z-none-qmix-solo-s4"],
        ["3m-none-qmix-solo-s2"],
        ["2s3z-none-qmix-solo-s2"],
    ]
