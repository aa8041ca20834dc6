"""A strategy package outside the repository, from its entry point to a run that is stopped and resumed."""

from __future__ import annotations

import importlib
import json
import re
import signal
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import server.app
import server.exchange
from cli.main import main
from server.checkpoints import newest_checkpoint
from strategies.registry import describe, own_settings, strategy_names
from strategies.sharing import Sharing

ROOT = Path(__file__).parents[2]
_EXAMPLE = ROOT / "examples" / "momentum_strategy"
_TINY = {
    **{"battles": 2, "batch-size": 2, "buffer-size": 20, "aggregation-every": 2, "evaluate-every": 1000},
    **{"evaluate-battles": 2, "hidden": 8, "seed": 3, "total-steps": 400},
}


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flower_identity: None) -> Iterator[None]:
    """Install the package as pip would lay it out, from its own pyproject.toml."""
    project = tomllib.loads((_EXAMPLE / "pyproject.toml").read_text())
    name, version = project["project"]["name"], project["project"]["version"]
    site = tmp_path / "site"
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    for module in project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]:
        (site / module).write_text((_EXAMPLE / module).read_text())
        monkeypatch.delitem(sys.modules, module.removesuffix(".py"), raising=False)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project["project"]["entry-points"].items()
    lines = [line for group, found in groups for line in (f"[{group}]", *(f"{n} = {v}" for n, v in found.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(server.exchange, "_PAUSE", 0.0)
    for draws in ("draw_curve", "write_report"):
        monkeypatch.setattr(server.app, draws, lambda *_: None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def train(*flags: str) -> int:
    return main(["train", "--runtime", "in-process", *flags])


def new(runs: Path, run: str, *flags: str) -> int:
    tiny = [f"--{name}={value}" for name, value in _TINY.items()]
    return train("--runs", str(runs), "--run", run, "--strategy", "momentum", *tiny, *flags)


def bits(run: Path) -> dict[str, bytes]:
    checkpoint = newest_checkpoint(run)
    assert checkpoint is not None
    return {f"{seat}/{name}": t.tobytes() for seat, own in checkpoint.agents.items() for name, t in own.items()}


def test_its_entry_point_makes_it_a_strategy_like_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert "momentum" in strategy_names()
    assert describe("momentum").startswith("Momentum: v <- momentum v + ")
    assert [setting.name for setting in own_settings("momentum")] == ["momentum"]
    assert main(["strategies"]) == 0
    output = capsys.readouterr().out
    assert "--momentum" in output
    assert "share of the last step that is added to this one; a number from 0 to 0.99 (default: 0.5)" in output
    with pytest.raises(SystemExit):
        main(["train", "--strategy", "momentum", "--help"])
    assert "settings of the strategy momentum:" in capsys.readouterr().out


def test_a_run_that_was_stopped_and_resumed_is_the_run_that_was_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path, "whole", "--momentum", "0.8") == 0
    document = json.loads((tmp_path / "whole" / "run.json").read_text())
    assert document["settings"]["strategy-settings"] == "momentum=0.8"
    assert new(tmp_path, "cut", "--momentum", "0.8", "--total-steps", "150") == 0
    assert train("--resume", str(tmp_path / "cut"), "--total-steps", "400", "--momentum", "0.7") == 2
    assert "strategy-settings: the run began with 'momentum=0.8'" in capsys.readouterr().err
    assert train("--resume", str(tmp_path / "cut"), "--total-steps", "400", "--momentum", "0.8") == 0
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole")


def test_a_wrong_value_is_told_before_anything_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(tmp_path, "wrong", "--momentum", "1") == 2
    assert "strategy-settings: momentum: expected a number from 0 to 0.99, found '1'" in capsys.readouterr().err
    assert train("--runs", str(tmp_path), "--strategy-settings", "momentum=0.1") == 2
    assert "strategy-settings: unknown setting 'momentum'; the strategy has none" in capsys.readouterr().err
    assert not (tmp_path / "wrong").exists()


def lines_of(text: str) -> str:
    """The text's lines without indentation and blank lines."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def test_the_page_shows_the_code_of_the_example() -> None:
    page = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    example = lines_of((_EXAMPLE / "momentum_strategy.py").read_text(encoding="utf-8"))
    *parts, wrapped = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(parts) == 4
    for part in parts:
        assert lines_of(part) in example
    found: dict[str, Any] = {}
    exec(wrapped, found)
    assert issubclass(found["Trimmed"], Sharing)
