"""A small experiment, and results that its runs could have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pps_qmix.experiment.folder import Folder
from pps_qmix.experiment.results import Evaluation, Result
from pps_qmix.experiment.spec import PlannedRun
from server.checkpoints import Checkpoint, save_checkpoint
from server.run_directory import RunDirectory
from tests.metrics_rows import evaluation_row

SMALL = """
name = "small"
seeds = [4, 2]
maps = ["3m", "2s3z"]
preset = "quick"

[settings]
total-steps = 20_000
batch-size = 16

[map-settings.2s3z]
epsilon-steps = 70000

[[methods]]
name = "A"
strategy = "a-pps"
base = "vdn"

[[methods]]
name = "none"
strategy = "none"
base = "qmix"
mixing = "solo"
"""


def tiny(seeds: tuple[int, int], steps: int, evaluate_every: int) -> str:
    """Return an experiment whose runs take seconds: one method on 3m, two seeds."""
    return f"""
name = "tiny"
seeds = {list(seeds)}
maps = ["3m"]

[settings]
total-steps = {steps}
battles = 4
batch-size = 4
buffer-size = 40
aggregation-every = 4
train-per-battle = 0.5
evaluate-every = {evaluate_every}
evaluate-battles = 4
hidden = 8

[[methods]]
name = "A-PPS"
strategy = "a-pps"
base = "vdn"
"""


def result(run: PlannedRun, *rates: float, finished: bool = True) -> Result:
    """Return a result with these win rates, of 32 battles, one every 5,000 steps and 10 seconds."""
    found = [
        Evaluation(5000 * number, 10.0 * number, round(32 * rate), 32, 20 * rate, 25.0)
        for number, rate in enumerate(rates, 1)
    ]
    return Result(run, finished, found)


def round_row(round_: int, steps: int, seconds: float) -> dict[str, Any]:
    """Return a row of metrics.jsonl; half a second of the round is aggregation."""
    return {"kind": "round", "round": round_, "steps": steps, "seconds": {"round": seconds - 0.5, "aggregation": 0.5}}


def begin(folder: Folder, run: PlannedRun, steps: int = 0, **changes: Any) -> Path:
    """Make the directory of a run that was begun with `changes` of its settings and played up to `steps`."""
    directory = RunDirectory.create(run.settings.model_copy(update={"runs": str(folder.runs), **changes}))
    if steps:
        directory.append(evaluation_row(steps, 8))
        directory.append(round_row(1, steps, steps / 100))
        save_checkpoint(directory.path, Checkpoint(1, steps, {}))
    return directory.path
