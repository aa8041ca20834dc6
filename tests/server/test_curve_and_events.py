"""Pictures and events of a run: the curve, TensorBoard's events."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as TensorBoardsAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.custom_scalar.metadata import CONFIG_SUMMARY_TAG

from server.curve import draw_curve
from server.tensorboard_layout import layout
from server.tensorboard_writer import GROUPS, TensorBoardWriter
from tests.metrics_rows import evaluation_row
from tests.saved_figures import saved_figures


def round_(number: int, steps: int) -> dict[str, Any]:
    return {
        "kind": "round",
        "round": number,
        "steps": steps,
        "played": 1000,
        "win-rate": None,
        "loss": 0.25,
        "seconds": {"round": 2.0 * number, "waiting": 0.5},
        "shared": {"seats-replied": 1, "divergence": 0.125 * number, "weight/0": 0.75},
        "seats": {"0": {"seat": 0, "steps": 7, "loss": 0.5, "texts": "no number", "list": [1, 2]}},
        "missing": [1],
        "rejected": {"2": "a <b>reason</b>"},
    }


ROWS = [
    evaluation_row(5000, 8),
    round_(1, 5100),
    evaluation_row(10000, 24),
    evaluation_row(15000, 16),
    round_(2, 15500),
]


def test_the_curve_shows_win_rate_and_return_over_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = saved_figures(monkeypatch)
    path = tmp_path / "curve.png"
    path.write_bytes(b"the curve before")
    draw_curve(ROWS, "3m-a_b", path)
    win_rate, returns = drawn[0].axes
    assert win_rate.get_title() == "3m-a_b"
    assert win_rate.get_ylabel() == "test win rate"
    assert returns.get_ylabel() == "test return"
    assert returns.get_xlabel() == "environment steps"
    (line,) = win_rate.lines
    assert np.asarray(line.get_xdata()).tolist() == [5000, 10000, 15000]
    assert np.asarray(line.get_ydata()).tolist() == [0.25, 0.75, 0.5]
    assert np.asarray(returns.lines[0].get_ydata()).tolist() == [4.0, 12.0, 8.0]
    low, high = win_rate.get_ylim()
    assert low <= 0.0
    assert high >= 1.0
    assert matplotlib.image.imread(path).shape[2] == 4
    assert [left.name for left in tmp_path.iterdir()] == ["curve.png"]


@pytest.mark.parametrize("rows", [[], [round_(1, 5100)]])
def test_a_run_without_evaluations_has_an_empty_curve(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    draw_curve(rows, "new", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_curve_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(figure: Figure, file: BinaryIO, **_: Any) -> None:
        file.write(b"\x89PNG half")
        raise OSError(28, "No space left on device")

    path = tmp_path / "curve.png"
    draw_curve(ROWS, "x", path)
    before = path.read_bytes()
    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="No space"):
        draw_curve(ROWS, "x", path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_tensorboard_reads_the_board(tmp_path: Path) -> None:
    writer = TensorBoardWriter(tmp_path, 0)
    for row in ROWS:
        writer.add(row)
    writer.close()
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0, "scalars": 0})
    events.Reload()

    def read(tag: str) -> list[tuple[int, float]]:
        return [(event.step, float(event.tensor_proto.float_val[0])) for event in events.Tensors(tag)]

    assert read("evaluation/win-rate") == [(5000, 0.25), (10000, 0.75), (15000, 0.5)]
    assert read("exploring/played") == [(5100, 1000.0), (15500, 1000.0)]
    assert read("mean-of-agents/loss") == [(5100, 0.25), (15500, 0.25)]
    assert read("seconds/round") == [(5100, 2.0), (15500, 4.0)]
    assert read("sharing/weight/0") == [(5100, 0.75), (15500, 0.75)]
    assert read("one-agent/loss/0") == [(5100, 0.5), (15500, 0.5)]
    assert read("one-agent/steps/0") == [(5100, 7.0), (15500, 7.0)]
    tags = set(events.Tags()["tensors"]) - {CONFIG_SUMMARY_TAG}
    assert {tag.split("/")[0] for tag in tags} == set(GROUPS)
    for tag in tags:
        assert events.SummaryMetadata(tag).summary_description == GROUPS[tag.split("/")[0]]
    assert not [tag for tag in tags if "texts" in tag or "list" in tag or "kind" in tag or tag == "exploring/win-rate"]


def test_tensorboard_shows_the_win_rate_first_also_of_a_resumed_run(tmp_path: Path) -> None:
    for steps in (0, 5100):
        writer = TensorBoardWriter(tmp_path, steps)
        writer.add(ROWS[0])
        writer.close()
    events = TensorBoardsAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    (kept,) = {event.tensor_proto.string_val[0] for event in events.Tensors(CONFIG_SUMMARY_TAG)}
    shown = Layout.FromString(kept)
    assert shown == layout()
    first = shown.category[0].chart[0]
    assert (first.title, list(first.multiline.tag)) == ("win rate", ["^evaluation/win-rate$"])
    assert not shown.category[0].closed


def test_tensorboard_forgets_what_a_resumed_run_plays_again(tmp_path: Path) -> None:
    first = TensorBoardWriter(tmp_path, 0)
    for row in ROWS:
        first.add(row)
    first.close()
    (written,) = tmp_path.iterdir()  # files are read in the order of the second in their names: it was a while ago
    written.rename(tmp_path / re.sub(r"tfevents\.\d{10}", "tfevents.1700000000", written.name))
    resumed = TensorBoardWriter(tmp_path, 5100)
    for row in ROWS[-2:]:
        resumed.add({**row, "steps": row["steps"] + 300})
    resumed.close()
    events = TensorBoardsAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    assert [event.step for event in events.Tensors("exploring/played")] == [5100, 15800]
    assert [event.step for event in events.Tensors("evaluation/win-rate")] == [5000, 15300]
