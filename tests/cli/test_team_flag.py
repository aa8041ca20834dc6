"""The agents of one team of several play: `evaluate --team`, `watch --team`, `Run.evaluate(team=...)`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import pps_qmix
from cli.main import main
from server.checkpoints import whole_checkpoints
from server.report.summary import Rate, told
from server.run_directory import read_rows

N = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pps_qmix.Run]:
    """Two teams that share nothing, so that they play differently."""
    folder = tmp_path_factory.mktemp("teams")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PPS_HOME", str(folder / "home"))
        yield pps_qmix.train(
            runtime="in-process", runs=str(folder), run="two", map="3m", teams=2, strategy="none", battles=4, seed=3,
            total_steps=300, aggregation_every=4, evaluate_every=300, evaluate_battles=2, batch_size=4, buffer_size=20,
            train_per_battle=0.5, hidden=8,
        )  # fmt: skip


@pytest.fixture
def swapped(run: pps_qmix.Run, tmp_path: Path) -> pps_qmix.Run:
    """The same run with the agents of each team in the place of the other's."""
    copy = tmp_path / "swapped"
    shutil.copytree(run.path, copy)
    newest = whole_checkpoints(copy)[-1]
    for seat in range(N):
        kept = (newest / f"seat-{seat}.safetensors", newest / f"seat-{N + seat}.safetensors")
        first, second = (path.read_bytes() for path in kept)
        kept[0].write_bytes(second)
        kept[1].write_bytes(first)
    return pps_qmix.load_run(copy)


def test_the_agents_of_the_named_team_are_evaluated(run: pps_qmix.Run, swapped: pps_qmix.Run) -> None:
    first, second = (run.evaluate(battles=8, seed=7, team=team) for team in (0, 1))
    assert first != second
    assert run.evaluate(battles=8, seed=7) == first
    assert [swapped.evaluate(battles=8, seed=7, team=team) for team in (1, 0)] == [first, second]


def test_the_command_evaluates_the_named_team(run: pps_qmix.Run, capsys: pytest.CaptureFixture[str]) -> None:
    second = run.evaluate(battles=8, seed=7, team=1)
    assert main(["evaluate", str(run.path), "--evaluate-battles", "8", "--seed", "7", "--team", "1"]) == 0
    said = capsys.readouterr().out
    assert f"{second.won} of 8 battles won" in said
    assert f"return {second.return_mean:.2f}, length {second.length_mean:.1f} steps" in said
    last = next(row for row in reversed(read_rows(run.path)) if row["kind"] == "evaluation")["teams"]["1"]
    assert (
        f"last test of the run: win rate {told(Rate(last['won'], last['battles']))} at step {last['steps']:,}" in said
    )


def test_a_page_shows_the_battles_of_the_named_team(run: pps_qmix.Run, tmp_path: Path) -> None:
    page = tmp_path / "watch.html"
    assert main(["watch", str(run.path), "--team", "1", "--battles", "1", "--out", str(page)]) == 0
    assert "<title>3m, run two, team 1 after " in page.read_text()


@pytest.mark.parametrize("team", ["2", "-1"])
@pytest.mark.parametrize("command", ["evaluate", "watch"])
def test_a_team_that_the_run_does_not_have_is_refused_in_one_line(
    run: pps_qmix.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, team: str
) -> None:
    page = ["--out", str(tmp_path / "page.html")] if command == "watch" else []
    assert main([command, str(run.path), f"--team={team}", *page]) == 2
    assert capsys.readouterr().err == f"pps-qmix: team: expected 0..1, a team of the run, found {team}\n"
    assert list(tmp_path.iterdir()) == []


def test_wrong_values_of_team_in_python_are_named(run: pps_qmix.Run) -> None:
    with pytest.raises(ValueError, match=r"team: expected 0\.\.1, a team of the run, found 'a'"):
        run.evaluate(team="a")  # type: ignore[arg-type]


def test_a_policy_has_no_teams_to_choose_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "watch.html"
    assert main(["watch", "nearest", "--map", "3m", "--team", "0", "--out", str(page)]) == 2
    expected = "team: expected a run with --team, found the policy 'nearest'; omit --team"
    assert capsys.readouterr().err == f"pps-qmix: {expected}\n"
