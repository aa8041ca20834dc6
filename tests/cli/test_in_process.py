"""Whole runs in this process, tiny ones: what they leave behind, that they can be evaluated, stopped and resumed."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pps_qmix
import server.app
import server.exchange
from cli.main import main
from client.device import DeviceDirectory
from envproxy.mixer_store import MixerStore
from learning.learner import TakenStep, TrainingStep
from learning.stacked import TakeSteps, take_together
from pps_qmix.comparison.compared_run import runs_in
from pps_qmix.configuration import Value, default_config
from pps_qmix.runtime import in_process
from pps_qmix.runtime.in_process import Federation, run_in_process
from server.checkpoints import Checkpoint, newest_checkpoint, save_checkpoint, whole_checkpoints
from server.rounds import RoundsError
from server.run_directory import NotKeptError, RunDirectory, kept_runtime, read_rows, read_run

TINY: dict[str, Value] = {
    "battles": 4,
    "batch-size": 4,
    "buffer-size": 40,
    "aggregation-every": 4,
    "train-per-battle": 0.5,
    "evaluate-every": 300,
    "evaluate-battles": 4,
    "hidden": 8,
    "seed": 3,
    "total-steps": 700,
}


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flower_identity: None) -> Iterator[None]:
    """A PPS_HOME and a Flower identity of the test's own, no pauses between rounds."""
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(server.exchange, "_PAUSE", 0.0)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures: they take longer than the run."""
    for draws in ("draw_curve", "write_report"):
        monkeypatch.setattr(server.app, draws, lambda *_: None)


def play(runs: Path, run: str, threads: int = 1, *, take: TakeSteps | None = None, **changes: Any) -> RunDirectory:
    """Play a run, or play on where `resume` is true."""
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    given = {**TINY, "runs": str(runs), "run": run, **changed}
    team = Federation(
        "skirmish",
        "3m",
        int(TINY["battles"]),
        "main",
        centralised=bool(given.get("centralised")),
        threads=threads,
        teams=int(given.get("teams", 1)),
        take=take,
    )
    try:
        return run_in_process({**default_config(), **given}, given, team)
    finally:
        team.close()


def bits(checkpoint: Checkpoint | None) -> dict[tuple[int, str], bytes]:
    assert checkpoint is not None
    return {(s, name): t.tobytes() for s, tensors in checkpoint.agents.items() for name, t in tensors.items()}


def deeds(run: Path) -> list[dict[str, Any]]:
    """The rows of a run without what depends on the clock."""
    return [without_clock(row) for row in read_rows(run)]


def without_clock(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: without_clock(value) if isinstance(value, dict) else value
        for name, value in row.items()
        if not name.startswith("seconds")
    }


@pytest.mark.parametrize(("base", "teams"), [("qmix", 1), ("vdn", 2)])
def test_training_steps_taken_as_one_give_the_figures_of_those_taken_alone(
    tmp_path: Path, undrawn: None, base: str, teams: int
) -> None:
    at_once: list[int] = []

    def take(steps: Sequence[TrainingStep]) -> list[TakenStep]:
        at_once.append(len(steps))
        return take_together(steps)

    alone = play(tmp_path, "alone", base=base, teams=teams).path
    stacked = play(tmp_path, "stacked", base=base, teams=teams, take=take).path
    assert max(at_once) == 3 * teams
    for found, expected in zip(deeds(stacked), deeds(alone), strict=True):
        assert figures(found) == pytest.approx(figures(expected), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("device", "mixing", "stacked"),
    [("cuda", "solo", True), ("auto", "solo", True), ("cpu", "solo", False), ("cuda", "joint", False)],
)
def test_training_steps_are_taken_as_one_on_cuda_by_agents_that_learn_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, mixing: str, stacked: bool
) -> None:
    class SeenError(Exception):
        pass

    def made(*_: object, take: TakeSteps | None, **__: object) -> None:
        raise SeenError(take is not None)

    monkeypatch.setattr(in_process, "Federation", made)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(SeenError, match=str(stacked)):
        pps_qmix.train(runtime="in-process", runs=str(tmp_path), run="run", device=device, mixing=mixing)


def figures(row: dict[str, Any]) -> dict[str, float]:
    """The numbers of a row, those of its seats too."""
    numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
    for seat, values in row.get("seats", {}).items():
        numbers |= {f"{seat} {name}": value for name, value in values.items() if isinstance(value, int | float)}
    return numbers


@pytest.mark.parametrize(
    ("strategy", "base"), [("a-pps", "vdn"), ("rs-pps", "qmix"), ("pp-pps", "vdn"), ("none", "qmix")]
)
def test_a_run_leaves_all_that_is_promised(tmp_path: Path, strategy: str, base: str) -> None:
    run = play(tmp_path, "whole", strategy=strategy, base=base).path
    rows = read_rows(run)
    rounds = [row for row in rows if row["kind"] == "round"]
    evaluations = [row for row in rows if row["kind"] == "evaluation"]
    assert rounds[-1]["steps"] >= 700
    assert [row["round"] for row in rounds] == list(range(1, len(rounds) + 1))
    assert len(evaluations) == 3  # after 300, after 600 and at the end
    assert evaluations[-1]["steps"] == rounds[-1]["steps"]
    assert [row["training-steps"] for row in rounds[:-1]] == [4.0] * (len(rounds) - 1)
    assert all(row["missing"] == [] and row["rejected"] == {} for row in rounds)

    last = newest_checkpoint(run)
    assert last is not None
    assert (last.round, last.steps) == (rounds[-1]["round"], rounds[-1]["steps"])
    assert sorted(last.agents) == [0, 1, 2]
    assert any(name.startswith("mixer.") for name in last.agents[0]) is (base == "qmix")
    equal = {
        name: all(np.array_equal(tensor, last.agents[seat][name]) for seat in (1, 2))
        for name, tensor in last.agents[0].items()
    }
    shared = {"none": 0, "pp-pps": len(equal) - 4}.get(strategy, len(equal))
    assert sum(equal.values()) == shared

    assert (run / "curve.png").read_bytes().startswith(b"\x89PNG")
    report = (run / "report.html").read_text()
    assert strategy in report
    assert "Final test win rate" in report
    assert list(run.glob("events.out.tfevents.*"))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": "pp-pps", "adopt": 0.5, "mixing": "solo"},
        {"strategy": "pp-pps", "adopt": 0.5, "mixing": "joint"},
        {"strategy": "none", "centralised": True, "mixing": "joint"},
        {"strategy": "pp-pps", "adopt": 0.5, "mixing": "solo", "overlap": 3},
        {"strategy": "pp-pps", "adopt": 0.5, "mixing": "joint", "overlap": 3, "server_optimizer": "fedavgm"},
    ],
    ids=["solo", "joint", "centralised", "overlap", "joint-overlap"],
)
def test_a_resumed_run_is_the_run_that_was_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    settings: dict[str, Any] = {"base": "qmix", **changes}
    whole = play(tmp_path / "whole", "x", **settings).path

    class KilledError(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise KilledError

    # First between the rows of round 1 and its checkpoint, when the devices have kept it already, then after round 2.
    monkeypatch.setattr(server.app, "save_checkpoint", killed)
    with pytest.raises(KilledError):
        play(tmp_path / "cut", "y", **settings)

    def after_two(run: Path, checkpoint: Checkpoint) -> None:
        save_checkpoint(run, checkpoint)
        if checkpoint.round == 2:
            raise KilledError

    monkeypatch.setattr(server.app, "save_checkpoint", after_two)
    with pytest.raises(KilledError):
        play(tmp_path / "cut", "y", resume=True, **settings)
    monkeypatch.undo()
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))
    cut = play(tmp_path / "cut", "y", resume=True, **settings).path

    assert [path.name for path in whole_checkpoints(cut)] == [path.name for path in whole_checkpoints(whole)]
    assert bits(newest_checkpoint(cut)) == bits(newest_checkpoint(whole))
    assert deeds(cut) == deeds(whole)
    assert len(deeds(cut)) > 5


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("base", ["vdn", "qmix"])
def test_a_team_that_mixes_jointly_is_resumed_with_its_mixer(tmp_path: Path, base: str) -> None:
    settings: dict[str, Any] = {"strategy": "rs-pps", "base": base, "mixing": "joint"}
    run = play(tmp_path, "x", **settings, total_steps=400)
    before = [row for row in read_rows(run.path) if row["kind"] == "round"]
    assert [row["training-steps"] for row in before[:-1]] == [4.0] * (len(before) - 1)  # as many as alone
    assert all(len({seat["loss"] for seat in row["seats"].values()}) == 1 for row in before)
    last = newest_checkpoint(run.path)
    assert last is not None
    assert not any(name.startswith("mixer.") for name in last.agents[0])
    mixers = MixerStore(tmp_path / "home" / "mixers" / run.run_id, 100)
    kept = mixers.load(last.round)
    assert kept is not None
    assert kept[1]["learner"]["steps"] == sum(row["training-steps"] for row in before)

    play(tmp_path, "x", **settings, total_steps=800, resume=True)
    after = [row for row in read_rows(run.path) if row["kind"] == "round"]
    again = mixers.load(after[-1]["round"])
    assert again is not None
    assert again[1]["learner"]["steps"] == sum(row["training-steps"] for row in after) > kept[1]["learner"]["steps"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("base", ["vdn", "qmix"])
def test_a_team_of_one_learner_is_resumed_with_it(tmp_path: Path, base: str) -> None:
    settings: dict[str, Any] = {"centralised": True, "strategy": "none", "base": base, "mixing": "joint"}
    steps, weights = 0, []
    for total in (400, 800):
        run = play(tmp_path, "x", **settings, total_steps=total, resume=bool(steps)).path
        taken = [row["training-steps"] for row in read_rows(run) if row["kind"] == "round"]
        assert sum(taken) > steps  # one step is one step, for however many seats
        steps = sum(taken)
        last = newest_checkpoint(run)
        assert last is not None
        own = [{name: tensor.tobytes() for name, tensor in last.agents[seat].items()} for seat in range(3)]
        assert own[0] == own[1] == own[2]
        weights.append(own[0])
        for seat in range(3):  # every device directory has all of the learner
            kept = DeviceDirectory(tmp_path / "home", "x", read_run(run)["id"], seat).load()
            assert kept is not None
            assert kept[1]["learner"]["steps"] == steps
            assert {name: kept[0][f"online.{name}"].tobytes() for name in own[0]} == own[0]
    assert all(weights[0][name] != weights[1][name] for name in weights[0])


def test_the_command_trains_centrally_and_evaluates_and_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
    train = ["train", "--runs", str(tmp_path / "runs"), *flags, "--total-steps", "300"]
    assert main([*train, "--algorithm", "qmix", "--centralised"]) == 0  # in this process, without being told
    (run,) = runs_in(tmp_path / "runs")
    assert f"3m, centralised QMIX, 3 agents, seed 3; run {run}" in capsys.readouterr().out
    assert main(["train", "--resume", str(run), "--total-steps", "400"]) == 0
    assert read_rows(run)[-1]["steps"] >= 400
    capsys.readouterr()
    assert main(["evaluate", str(run), "--evaluate-battles", "4"]) == 0
    assert " of 4 battles won" in capsys.readouterr().out
    page = tmp_path / "watch.html"
    assert main(["watch", str(run), "--battles", "2", "--out", str(page)]) == 0
    assert f"run {run.name} after " in page.read_text()


@pytest.mark.usefixtures("undrawn")
def test_a_finished_run_is_resumed_to_more_steps_or_to_nothing(tmp_path: Path) -> None:
    run = play(tmp_path, "x", total_steps=150).path
    before = (read_rows(run), bits(newest_checkpoint(run)))
    play(tmp_path, "x", total_steps=150, resume=True)
    assert (read_rows(run), bits(newest_checkpoint(run))) == before
    play(tmp_path, "x", total_steps=250, resume=True)
    assert read_rows(run)[: len(before[0])] == before[0]
    assert read_rows(run)[-1]["steps"] >= 250


@pytest.mark.usefixtures("undrawn")
def test_the_same_seed_gives_the_same_run_and_another_another(tmp_path: Path) -> None:
    runs = [
        play(tmp_path / name, name, total_steps=150, seed=seed).path for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert bits(newest_checkpoint(runs[0])) == bits(newest_checkpoint(runs[1]))
    assert deeds(runs[0]) == deeds(runs[1])
    assert bits(newest_checkpoint(runs[0])) != bits(newest_checkpoint(runs[2]))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("strategy", "differs"), [("none", set()), ("pp-pps", {"fc2.weight"}), ("median", {"fc1.weight", "fc2.weight"})]
)
def test_an_overlap_changes_the_tensors_that_are_shared(tmp_path: Path, strategy: str, differs: set[str]) -> None:
    """Already after two rounds: what is learned from other weights differs in every tensor later on."""
    first, second = (
        newest_checkpoint(play(tmp_path / str(k), str(k), strategy=strategy, overlap=k, total_steps=500).path)
        for k in (0, 3)
    )
    assert first is not None
    assert second is not None
    assert first.round == second.round >= 2
    changed = {name for name in first.agents[0] if bits(first)[0, name] != bits(second)[0, name]}
    assert differs <= changed
    assert bool(changed) is bool(differs)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("base", ["vdn", "qmix"])
@pytest.mark.parametrize("mixing", ["solo", "joint"])
def test_on_any_number_of_threads_a_run_is_the_same(tmp_path: Path, base: str, mixing: str) -> None:
    runs = [
        play(tmp_path / str(threads), str(threads), threads, base=base, mixing=mixing, total_steps=500).path
        for threads in (1, 2)
    ]
    assert bits(newest_checkpoint(runs[0])) == bits(newest_checkpoint(runs[1]))
    assert deeds(runs[0]) == deeds(runs[1])
    assert sum(row.get("training-steps") or 0 for row in deeds(runs[0])) > 5


@pytest.mark.usefixtures("undrawn")
def test_weights_that_do_not_fit_end_the_run_with_a_reason(tmp_path: Path) -> None:
    run = play(tmp_path, "x", total_steps=150)
    newest = newest_checkpoint(run.path)
    assert newest is not None
    wrong = {seat: {**tensors, "fc2.bias": np.zeros(5, np.float32)} for seat, tensors in newest.agents.items()}
    save_checkpoint(run.path, Checkpoint(newest.round, newest.steps, wrong))
    with pytest.raises(RoundsError, match=r"seat 0 cannot use the server's weights: tensor 'fc2.bias' is of shape"):
        play(tmp_path, "x", total_steps=250, resume=True)


def forget(run: Path, setting: str) -> None:
    """Make a run older than a setting."""
    document = read_run(run)
    del document["settings"][setting]
    (run / "run.json").write_text(json.dumps(document), encoding="utf-8")


def test_the_command_trains_and_evaluates_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
    runs = tmp_path / "runs"
    train = ["train", "--runtime", "in-process", "--runs", str(runs), *flags, "--total-steps", "300"]
    assert main([*train, "--rules", "reward_win=100,obs-pathing-grid=TRUE"]) == 0
    told = capsys.readouterr().out
    (run,) = runs_in(runs)  # the name is made from what it is and when it began
    assert run.name.startswith("3m-rs-pps-vdn-s3-")
    assert f"3m, RS-PPS on VDN, 3 agents, seed 3; run {run}" in told
    assert "last test win rate: " in told
    assert f"report: {run / 'report.html'}" in told
    assert f"watch it: pps-qmix watch {run}" in told
    assert f"battles: {run / 'watch.html'}" in told
    assert f"resume it: pps-qmix train --resume {run} --total-steps 600" in told
    resume = ["train", "--resume", str(run), "--total-steps", "400"]  # in this process: the run keeps its runtime
    assert main([*resume, "--rules", "obs_pathing_grid=true reward_win=200"]) == 2
    assert "rules: the run began with 'obs-pathing-grid=true, reward-win=100'" in capsys.readouterr().err
    forget(run, "td-lambda")
    assert main([*resume, "--rules", "obs_pathing_grid=true reward_win=100"]) == 0  # the same in other words
    assert read_rows(run)[-1]["steps"] >= 400
    assert kept_runtime(run) == "in-process"
    assert not (run / "logs").exists()  # of Flower's processes
    capsys.readouterr()
    forget(run, "td-lambda")

    def line(*arguments: str) -> str:
        assert main(["evaluate", str(run), "--evaluate-battles", "6", *arguments]) == 0
        won, figures, test, why, how = capsys.readouterr().out.splitlines()
        last = [row for row in read_rows(run) if row["kind"] == "evaluation"][-1]
        assert test.startswith(f"last test of the run: win rate {100 * last['win-rate']:.0f} % ({last['won']} of ")
        assert "this has 6 others" in why
        assert "--evaluate-battles" in how
        return f"{won}, {figures}"

    kept = {path: path.read_bytes() for path in (tmp_path / "home").rglob("*.*")}
    first = line("--seed", "11")
    assert " of 6 battles won: win rate " in first
    assert line("--seed", "11") == first
    assert line() == line("--seed", "3")  # the run's own
    assert first != line()
    page = tmp_path / "watch.html"
    assert main(["watch", str(run), "--battles", "6", "--seed", "11", "--out", str(page)]) == 0
    *battles, where = capsys.readouterr().out.splitlines()
    won = sum(line.split()[2] == "won" for line in battles)
    assert len(battles) == 6
    assert first.startswith(f"{won} of 6 battles won")
    returns = [float(found) for found in re.findall(r"return ([\d.]+)", "\n".join([first, *battles]))]
    assert np.mean(returns[1:]) == pytest.approx(returns[0], abs=0.011)
    assert where == f"page: {page}"
    assert f"run {run.name} after " in page.read_text()
    assert main(["watch", str(run), "--map", "8m"]) == 2
    assert capsys.readouterr().err == f"pps-qmix: map: {run} was trained on '3m', its agents cannot play '8m'\n"

    assert {path: path.read_bytes() for path in kept} == kept  # neither leaves a trace on the devices


@pytest.mark.usefixtures("undrawn")
def test_no_round_is_kept_without_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when round 2 is to be written down; then there is room again."""
    append = RunDirectory.append

    def full(directory: RunDirectory, *rows: dict[str, Any]) -> None:
        if rows[0]["round"] == 2:
            raise NotKeptError("no room")
        append(directory, *rows)

    with monkeypatch.context() as disk:
        disk.setattr(RunDirectory, "append", full)
        with pytest.raises(NotKeptError, match="no room"):
            play(tmp_path, "x")
    run = play(tmp_path, "x", resume=True).path
    rounds = [row["round"] for row in read_rows(run) if row["kind"] == "round"]
    assert rounds == list(range(1, len(rounds) + 1))
    assert len(rounds) > 2


@pytest.mark.parametrize(
    ("base", "mixing", "strategy"), [("qmix", "solo", "rs-pps"), ("vdn", "joint", "rs-pps"), ("qmix", "joint", "none")]
)
def test_a_learning_rate_that_is_too_large_is_named_once(
    base: str, mixing: str, strategy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = {**TINY, "aggregation-every": 20, "train-per-battle": 1.0, "total-steps": 3000, "learning-rate": 1e9}
    flags = [f"--{name}={value}" for name, value in tiny.items()]
    chosen = [f"--base={base}", f"--mixing={mixing}", f"--strategy={strategy}"]
    where = ["--run", "wild", "--runs", str(tmp_path / "runs")]
    assert main(["train", "--runtime", "in-process", *flags, *chosen, *where]) == 1
    said = capsys.readouterr()
    expected = (
        r"pps-qmix: training has diverged in round \d; "
        r"the likely cause is the learning-rate of 1e\+09: choose a smaller one \(seats? .*\)\n"
    )
    assert re.fullmatch(expected, said.err)
    assert "diverged" not in said.out
    for seat in range(3):
        (device,) = (tmp_path / "home" / "wild").glob(f"*/seat-{seat}")
        assert not (device / "agent.json").exists(), "of the round that diverged nothing is kept"
