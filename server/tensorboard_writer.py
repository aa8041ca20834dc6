"""Writes the rows of metrics.jsonl as TensorBoard events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from server.tensorboard_layout import layout_summary

_LEARNING: Final = {"training-steps", "loss", "td-error", "q-mean", "grad-norm"}
_PARTS: Final = {"seconds": "seconds", "shared": "sharing"}  # of a round's row -> group

# What stands before a tag's first slash -> what TensorBoard says of its charts.
GROUPS: Final = {
    "evaluation": "Greedy test battles of the whole team. Nothing of them is stored or learned from.",
    "exploring": "The battles of a round that the team explores and learns from.",
    "mean-of-agents": "Mean over the agents of what each reports of its training steps in a round.",
    "one-agent": "What one agent reports of a round. The last number of the tag is its seat.",
    "sharing": "What the server sees of the agents' weights in a round, and how it aggregates them.",
    "seconds": "Where the time of a round goes. Waiting, acting and learning are means over the agents.",
}


class TensorBoardWriter:
    """TensorBoard events in a run directory; every scalar is over environment steps."""

    def __init__(self, path: Path, steps: int) -> None:
        """The run resumes from `steps`: events of later steps are void, because these steps are played again."""
        start = SessionLog(status=SessionLog.START)  # its step and all after it are forgotten
        self._writer = EventFileWriter(str(path))
        self._writer.add_event(Event(wall_time=time.time(), step=steps + 1, session_log=start))
        self._writer.add_event(Event(wall_time=time.time(), step=0, summary=layout_summary()))
        self._described: set[str] = set()  # tags

    def add(self, row: Mapping[str, Any]) -> None:
        """Write every number of a row, as `scalars` names them."""
        for tag, value in scalars(row):
            summary = scalar_pb(tag, value, description=self._description(tag))
            self._writer.add_event(Event(wall_time=time.time(), step=int(row["steps"]), summary=summary))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _description(self, tag: str) -> str | None:
        """Return what the tag's group is; TensorBoard reads it from a tag's first event alone."""
        if tag in self._described:
            return None
        self._described.add(tag)
        return GROUPS[tag.partition("/")[0]]


def scalars(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield a row's numbers under TensorBoard's tags; what stands before the first slash is one of GROUPS.

    `evaluation/win-rate`; and of a round `exploring/return`, `mean-of-agents/loss`, `sharing/weight/0`,
    `seconds/round`, and `one-agent/loss/0`, so that a figure's charts for all seats stand side by side. A row's number
    and steps are the axis.
    """
    top = {name: value for name, value in row.items() if name not in ("round", "steps")}
    group = "evaluation" if row["kind"] == "evaluation" else "exploring"
    for name, (low, high) in row.get("spread", {}).items():
        yield from _numbers(group, {f"{name}/lowest": low, f"{name}/highest": high})
    if row["kind"] == "evaluation":
        yield from _numbers("evaluation", top)
        return
    yield from _numbers("mean-of-agents", {name: value for name, value in top.items() if name in _LEARNING})
    yield from _numbers("exploring", {name: value for name, value in top.items() if name not in _LEARNING})
    for part, group in _PARTS.items():
        yield from _numbers(group, row.get(part, {}))
    for seat, report in row["seats"].items():
        for tag, value in _numbers("one-agent", {name: value for name, value in report.items() if name != "seat"}):
            yield f"{tag}/{seat}", value


def _numbers(group: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, int | float):
            yield f"{group}/{name}", float(value)
