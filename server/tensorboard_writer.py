"""Writes the rows of metrics.jsonl as TensorBoard events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

_LEARNING = {"training-steps", "loss", "td-error", "q-mean", "grad-norm"}
_GROUPS = {"seconds": "seconds", "shared": "sharing"}


class TensorBoardWriter:
    """TensorBoard events in a run directory; every scalar is over environment steps."""

    def __init__(self, path: Path, steps: int) -> None:
        """The run resumes from `steps`: events of later steps are void, because these steps are played again."""
        start = SessionLog(status=SessionLog.START)  # its step and all after it are forgotten
        self._writer = EventFileWriter(str(path))
        self._writer.add_event(Event(wall_time=time.time(), step=steps + 1, session_log=start))

    def add(self, row: Mapping[str, Any]) -> None:
        """Write every number of a row, as `scalars` names them."""
        for tag, value in scalars(row):
            self._writer.add_event(Event(wall_time=time.time(), step=int(row["steps"]), summary=scalar_pb(tag, value)))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def scalars(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield a row's numbers under TensorBoard's tags; what stands before the first slash is a group of charts.

    `evaluation/win-rate`; and of a round `collect/return`, `learning/loss`, `sharing/weight/0`, `seconds/round`, and
    `seats/loss/0`, so that a figure's charts for all seats stand side by side. Its number and steps are the axis.
    """
    top = {name: value for name, value in row.items() if name not in ("round", "steps")}
    group = "evaluation" if row["kind"] == "evaluation" else "collect"
    for name, (low, high) in row.get("spread", {}).items():
        yield from _numbers(group, {f"{name}/lowest": low, f"{name}/highest": high})
    if row["kind"] == "evaluation":
        yield from _numbers("evaluation", top)
        return
    yield from _numbers("learning", {name: value for name, value in top.items() if name in _LEARNING})
    yield from _numbers("collect", {name: value for name, value in top.items() if name not in _LEARNING})
    for part, group in _GROUPS.items():
        yield from _numbers(group, row.get(part, {}))
    for seat, report in row["seats"].items():
        for tag, value in _numbers("seats", {name: value for name, value in report.items() if name != "seat"}):
            yield f"{tag}/{seat}", value


def _numbers(group: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, int | float):
            yield f"{group}/{name}", float(value)
