"""A whole run by the ServerApp, with devices that answer without playing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import server.app
from server.app import train
from server.grids import GridWrapper
from tests.server.squad import Device, Field, Squad, defaults


@pytest.fixture(autouse=True)
def _messages_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The devices here know nothing of folded ones."""
    monkeypatch.setattr(server.app, "PackingGrid", GridWrapper)


def config(runs: Path, **changes: Any) -> dict[str, Any]:
    small = {"total-steps": 300, "aggregation-every": 10, "batch-size": 4, "learning-rate": 1.0}
    return {**defaults(), "strategy": "a-pps", "runs": str(runs), "run": "run", **small, **changes}


def team() -> Field:
    return Field(Squad({seat + 1: Device(seat) for seat in range(3)}))


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_its_reports_and_can_be_extended(tmp_path: Path) -> None:
    train(team(), config(tmp_path), {})
    run = tmp_path / "run"
    assert [row["steps"] for row in rows(run)] == [100, 200, 300]
    assert {"curve.png", "report.html", "run.json"} <= {path.name for path in run.iterdir()}
    train(team(), config(tmp_path, resume=True), {"resume": True, "total-steps": 500})
    assert [row["steps"] for row in rows(run)] == [100, 200, 300, 400, 500]


def test_a_run_that_cannot_be_drawn_is_played_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def draw(*_: object) -> None:
        raise ValueError("arange: cannot compute length")

    monkeypatch.setattr(server.app, "draw_curve", draw)
    train(team(), config(tmp_path), {})
    assert [row["steps"] for row in rows(tmp_path / "run")] == [100, 200, 300]
    assert "curve and report cannot be drawn" in caplog.text


def test_a_full_disk_ends_a_run_also_while_it_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(server.app, "draw_curve", draw)
    with pytest.raises(OSError, match="No space left"):
        train(team(), config(tmp_path), {})
