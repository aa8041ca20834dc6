"""`pps-qmix experiment` before anything is played: what is wrong, and what would be played."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import main
from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.spec import parse_experiment
from tests.cli.experiment.small import SMALL, begin

Command = Callable[..., tuple[int, str, str]]


pytestmark = pytest.mark.usefixtures("surroundings")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Write an experiment's file and run the command; return its exit code, output and errors."""

    def run(text: str, *arguments: str) -> tuple[int, str, str]:
        (tmp_path / "x.toml").write_text(text)
        code = main(["experiment", "x.toml", *arguments])
        return code, *capsys.readouterr()

    return run


def test_all_problems_are_told_and_nothing_is_begun(command: Command, tmp_path: Path) -> None:
    code, output, errors = command(SMALL.replace("batch-size = 16", "batch-size = 0\nhiden = 8"))
    assert code == 2
    assert output == ""
    first, second = errors.splitlines()
    assert first == "pps-qmix: x.toml: settings.batch-size: input should be greater than 0, found 0"
    assert second == 'x.toml: settings.hiden: unknown setting. Did you mean "hidden"?'
    assert [path.name for path in tmp_path.iterdir()] == ["x.toml"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_with_a_byte_order_mark_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "windows.toml").write_bytes(SMALL.replace("\n", "\r\n").encode(encoding))
    assert main(["experiment", "windows.toml", "--dry-run"]) == 0
    assert capsys.readouterr().err == ""


def test_a_file_that_cannot_be_read_is_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "picture.toml").write_bytes(b"\xff\x00")
    for name, said in (("none.toml", "No such file or directory"), ("picture.toml", "expected a text in UTF-8")):
        assert main(["experiment", name]) == 2
        assert capsys.readouterr().err == f"pps-qmix: {name}: {said}\n"


def test_without_a_job_nothing_can_be_played(command: Command) -> None:
    assert command(SMALL, "--jobs", "0")[::2] == (2, "pps-qmix: jobs: expected at least 1, found 0\n")


def test_a_run_begun_otherwise_is_told_with_its_folder(command: Command, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results" / "small")
    begin(folder, parse_experiment(SMALL).runs[0], gamma=0.5)
    code, _, errors = command(SMALL)
    assert code == 2
    assert errors.startswith(f"pps-qmix: 3m-a-pps-vdn-solo-s4 in {folder.runs}: gamma: the run began with 0.5")
    assert sorted(path.name for path in folder.path.iterdir()) == ["runs"]


def test_without_the_extra_there_is_a_plan_but_no_play(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert command(SMALL, "--dry-run")[0] == 0
    code, _, errors = command(SMALL)
    assert code == 2
    assert errors.endswith("pip install 'pps-qmix[experiment]'\n")
    assert not (tmp_path / "results").exists()


def test_a_dry_run_lists_what_is_done_and_what_is_left(command: Command, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "elsewhere")
    runs = parse_experiment(SMALL).runs
    begin(folder, runs[0], steps=20_000)
    begin(folder, runs[1], steps=5_000)
    before = sorted(folder.path.rglob("*"))
    code, output, _ = command(SMALL.replace('"A"', '"[b]A"'), "--dry-run", "--out", "elsewhere", "--jobs", "3")
    assert code == 0
    header, *lines, last = output.splitlines()
    assert header.split() == ["run", "method", "state", "steps", "left", "about"]
    assert len(lines) == 8
    assert lines[0].split() == ["3m-a-pps-vdn-solo-s4", "[b]A", "finished", "0"]
    # 25,000 steps took 250 seconds on this map
    assert lines[1].split() == ["3m-none-qmix-solo-s4", "none", "resumes", "15,000", "2.6", "min"]
    assert lines[2].split()[:4] == ["2s3z-a-pps-vdn-solo-s4", "[b]A", "new", "20,000"]
    assert last.startswith("7 of 8 runs to play, 3 at once: about ")
    assert sorted(folder.path.rglob("*")) == before


def test_a_dry_run_of_what_is_finished_says_so(command: Command, tmp_path: Path) -> None:
    for run in parse_experiment(SMALL).runs:
        begin(Folder(tmp_path / "results" / "small"), run, steps=20_000)
    code, output, _ = command(SMALL, "--dry-run")
    assert code == 0
    assert output.splitlines()[-1] == "all 8 runs are finished"
