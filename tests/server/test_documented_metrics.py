"""docs/metrics.md names exactly what a run writes, in metrics.jsonl and for TensorBoard."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.metadata import CONFIG_SUMMARY_TAG

import server.exchange
from cli.main import main
from server.run_directory import read_rows
from server.tensorboard_layout import layout
from server.tensorboard_writer import GROUPS, scalars

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
TINY = (
    "--strategy pp-pps --base qmix --battles 4 --batch-size 4 --buffer-size 40 --aggregation-every 4 --hidden 8 "
    "--train-per-battle 0.5 --evaluate-every 300 --evaluate-battles 4 --total-steps 400"
)


def documented() -> dict[str, dict[str, str]]:
    """Kind of row -> figure -> TensorBoard's tag, "" where it has none."""
    parts = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    found = {
        title: {name: tag.strip(" `") for name, tag in re.findall(r"^\| `(.*?)` \|(.*?)\|", text, re.MULTILINE)}
        for title, text in sections.items()
    }
    return {"evaluation": found["Evaluation rows"], "round": found["Round rows"] | found["By seat"]}


def figures(row: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]], object]]:
    """Each figure of a row as the page calls it, what stands for its placeholder, and its value."""
    for name, value in row.items():
        if name == "seats":
            for seat, report in value.items():
                yield from ((f"seats.SEAT.{key}", [("SEAT", seat)], figure) for key, figure in report.items())
        elif name == "shared":
            for key, figure in value.items():
                head, _, rest = key.partition("/")
                place = "TENSOR" if head == "divergence" else "SEAT"
                yield (f"shared.{head}/{place}", [(place, rest)], figure) if rest else (f"shared.{head}", [], figure)
        elif isinstance(value, dict):
            yield from ((f"{name}.{key}", [], figure) for key, figure in value.items())
        else:
            yield name, [], value


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run in this process."""
    folder = tmp_path_factory.mktemp("metrics")
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PPS_HOME", str(folder / "home"))
        patched.setattr(server.exchange, "_PAUSE", 0.0)
        assert main(["train", "--runtime", "in-process", "--runs", str(folder), "--run", "x", *TINY.split()]) == 0
    signal.signal(signal.SIGTERM, handler)
    return folder / "x"


def test_every_figure_of_a_run_is_on_the_page_and_every_one_of_the_page_in_a_run(run: Path) -> None:
    written: dict[str, set[str]] = {"evaluation": set(), "round": set()}
    for row in read_rows(run):
        written[row["kind"]] |= {name for name, _, _ in figures(row)}
    written["round"].add("rejected.SEAT")  # of a run without faults there are none
    assert written == {kind: set(names) for kind, names in documented().items()}


def test_tensorboard_has_the_tags_that_the_page_says(run: Path) -> None:
    expected = set()
    for row in read_rows(run):
        for name, places, value in figures(row):
            tag = documented()[row["kind"]][name]
            for place, found in places:
                tag = tag.replace(place, found)
            if tag and value is not None:
                expected.add(tag)
    events = EventAccumulator(str(run), size_guidance={"tensors": 1})
    events.Reload()
    assert set(events.Tags()["tensors"]) == expected | {CONFIG_SUMMARY_TAG}
    assert "sharing/divergence/mixer.hyper_w1.weight" in expected


def test_every_chart_of_tensorboards_layout_shows_a_tag_of_the_run(run: Path) -> None:
    tags = {tag for row in read_rows(run) for tag, _ in scalars(row)}
    for category in layout().category:
        for chart in category.chart:
            for pattern in chart.multiline.tag:
                assert any(re.search(pattern, tag) for tag in tags), (category.title, chart.title)
    assert {tag.partition("/")[0] for tag in tags} == set(GROUPS)


def test_the_page_explains_the_groups_of_tensorboard() -> None:
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition("## TensorBoard\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(.*?)` \|", section, re.MULTILINE) == list(GROUPS)


def test_the_report_shows_learning_and_sharing(run: Path) -> None:
    report = (run / "report.html").read_text(encoding="utf-8")
    for name in ("TD error", "Battle length", "Disagreement of agents", "Agreement of updates", "Aggregation weights"):
        assert re.search(rf"<h3>(<a [^>]*>)?{name}(</a>)?</h3>", report), name
    assert '<th scope="row">rnn.weight_hh</th>' in report
    assert '<th scope="col">Agent 2</th>' in report
