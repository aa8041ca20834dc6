"""The example of a backend outside this repository: found by its entry point, tested by its own test, trained on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import server.exchange
from cli.main import main
from server.run_directory import read_rows, read_run
from tests.packages import install, write_package

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "grid_backend"
TINY = (
    *("--battles", "4", "--batch-size", "4", "--buffer-size", "40", "--aggregation-every", "4", "--hidden", "8"),
    *("--evaluate-every", "200", "--evaluate-battles", "4", "--total-steps", "500", "--train-per-battle", "0.5"),
)


def entry_points() -> dict[str, dict[str, str]]:
    """The entry points that the example declares."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared: dict[str, dict[str, str]] = project["entry-points"]
    return declared


def modules() -> dict[str, str]:
    return {"grid_backend": (EXAMPLE / "grid_backend.py").read_text(encoding="utf-8")}


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flower_identity: None
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run the command with the example installed; return its exit code, output and errors."""
    install(tmp_path, monkeypatch, "grid-backend", modules(), entry_points())
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server.exchange, "_PAUSE", 0.0)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_its_own_test_passes(tmp_path: Path) -> None:
    write_package(tmp_path, "grid-backend", modules(), entry_points())
    pytest_ = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        str(EXAMPLE / "pyproject.toml"),
        "-rs",
    ]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    told = subprocess.run(
        [*pytest_, str(EXAMPLE / "test_grid_backend.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert re.search(r"\b\d+ passed\b", told.stdout)
    assert "skipped" not in told.stdout


def test_its_maps_are_listed(command: Callable[..., tuple[int, str, str]]) -> None:
    code, output, errors = command("maps", "--backend", "grid")
    assert (code, errors) == (0, "")
    assert [line.split() for line in output.splitlines()[1:3]] == [
        ["duel", "-", "2", "7", "9", "9", "25", "grid"],
        ["crossing", "-", "3", "9", "18", "18", "40", "grid"],
    ]


def test_a_team_trains_on_it_and_is_evaluated(command: Callable[..., tuple[int, str, str]]) -> None:
    train = ("train", "--runtime", "in-process", "--backend", "grid", "--map", "duel", "--run", "first", *TINY)
    code, output, errors = command(*train)
    assert (code, errors) == (0, ""), errors
    assert "duel, RS-PPS on VDN, 2 agents, seed 0" in output
    rows = [row for row in read_rows(Path("runs/first")) if row["kind"] == "round"]
    assert len(rows) > 2
    assert all(row["missing"] == [] and row["rejected"] == {} for row in rows)
    assert min(row["return"] for row in rows) < 0  # rewards are negative here
    assert read_run(Path("runs/first"))["provenance"] == {"grid-backend": "1.0"}
    code, output, errors = command("evaluate", "runs/first", "--evaluate-battles", "4")
    assert (code, errors) == (0, "")
    assert " of 4 battles won" in output


def test_joint_mixing_trains_on_it(command: Callable[..., tuple[int, str, str]]) -> None:
    train = ("train", "--runtime", "in-process", "--backend", "grid", "--map", "crossing", "--run", "joint", *TINY)
    code, _, errors = command(*train, "--mixing", "joint", "--base", "qmix")
    assert (code, errors) == (0, ""), errors
    assert read_rows(Path("runs/joint"))[-1]["steps"] >= 500


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train --backend grid", "map: the backend 'grid' needs a map: --map NAME; it has duel, crossing"),
        ("train --backend grid --map 3m", "the backend 'grid' has no map '3m'; it has duel, crossing"),
        (
            "submit --superlink 127.0.0.1:1 --insecure --backend grid",
            "map: the backend 'grid' needs a map: --map NAME; it has duel, crossing",
        ),
        ("envproxy --backend grid", "map: the backend 'grid' needs a map: --map NAME; it has duel, crossing"),
        (
            "train --backend grid --map duel --rules reward-win=1",
            "rules: reward-win: expected none, for the backend grid has no rules of SMAC, found 1",
        ),
        (
            "train --backend grid --map duel --backend-options speed=2",
            "backend-options: expected none, for grid has none, found 'speed=2'",
        ),
        (
            "watch random --backend grid --map duel",
            "the backend 'grid' does not show its units: it has no create_recordable",
        ),
    ],
)
def test_what_it_does_not_have_is_told_in_one_line(
    command: Callable[..., tuple[int, str, str]], arguments: str, said: str
) -> None:
    assert command(*arguments.split()) == (2, "", f"pps-qmix: {said}\n")
    assert not Path("runs").exists()


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:python|toml)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 6
    files = [path.read_text(encoding="utf-8") for path in EXAMPLE.iterdir() if path.suffix in (".py", ".toml")]
    for block in blocks:
        assert any(block in text for text in files), f"docs/backends.md shows what the example does not have:\n{block}"
