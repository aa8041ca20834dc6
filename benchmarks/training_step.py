"""Where the time of one agent's training step goes, beside the rate of plain matrix products of the same sizes.

    python -m benchmarks.training_step [--map 3m] [--batch-sizes 32 96] [--repeats 100]

One CPU thread, base vdn, mixing solo, battles of a random team. CPU milliseconds, the best of the repeats. A part that
multiplies matrices has its rate in GFLOP/s: a product of [n, k] and [k, m] has 2 n k m operations. The last line is the
rate that PyTorch's own product reaches with the step's rows.

    python -m benchmarks.training_step --stacked 3 [--device cuda] [--base vdn] [--map 3m] [--batch-sizes 32 96]

times a training step of so many agents instead: one after the other, and as one (`learning/stacked.py`). Milliseconds
of wall time, the best and the median of the repeats. More agents than the map has seats are those of several teams.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from benchmarks.learner import Student, machine, random_battles, students
from envproxy.backends.skirmish import create, map_names
from learning.batch import Batch
from learning.buffer import BattleBuffer
from learning.errors import td_errors
from learning.learner import Learner, TrainingStep
from learning.memory import keep_freed_memory
from learning.settings import LearningSettings, SeatSpec
from learning.stacked import take_together
from pps_qmix.configuration import default_config
from pps_qmix.runtime.seat_sizes import seat_spec


def main() -> None:
    """Print a table for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--map", default="3m", choices=map_names(), metavar="MAP")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 96])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--stacked", type=int, metavar="AGENTS", help="time a training step of so many agents as one")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="of the stacked agents")
    parser.add_argument("--base", default="vdn", choices=["vdn", "qmix"], help="of the stacked agents")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print(machine())
    battles = random_battles(options.map).seats
    sizes = seat_spec(create(options.map, 1).spec, seat=0)
    for size in options.batch_sizes:
        settings = LearningSettings.from_config({**default_config(), "batch-size": size, "td-lambda": 0.6})
        if options.stacked:
            told = replace(settings, device=options.device, base=options.base)
            teams = -(-options.stacked // len(battles))
            agents = [student for _ in range(teams) for student in students(options.map, told, battles)]
            print_stacked(agents[: options.stacked], size, options.repeats)
            continue
        learner, buffer = students(options.map, settings, battles[:1])[0]

        def draw(buffer: BattleBuffer = buffer, size: int = size) -> Batch:
            return buffer.sample(np.random.default_rng(0), size)

        print_parts(learner, sizes, draw, options.repeats)


def print_parts(learner: Learner, spec: SeatSpec, draw: Callable[[], Batch], repeats: int) -> None:
    """Print what each part of a training step costs, with a batch that is drawn."""
    batch = draw()
    network, settings = learner.network, learner.settings
    rows, hidden = len(batch.inputs), network.rnn.hidden_size
    forward = 2.0 * rows * hidden * (spec.input_size + 6 * hidden + spec.n_actions)
    backward = 2 * forward - 2.0 * rows * hidden * spec.input_size  # the inputs need no gradient
    run, utilities = network.run(batch.inputs, batch.sizes), learner.utilities(batch)
    slopes = torch.randn_like(run.values)
    print(f"\nbatch {len(batch.lengths)}: {rows} rows, {len(batch.actions)} steps")

    def errors() -> None:
        td_errors(utilities.chosen, utilities.best, batch, settings.gamma, settings.td_lambda)

    left, right = torch.randn(rows, hidden), torch.randn(hidden, 3 * hidden)
    product = torch.empty(rows, 3 * hidden)
    parts: list[tuple[str, Callable[[], object], float]] = [
        ("draw the battles", draw, 0.0),
        ("online network forward", lambda: network.run(batch.inputs, batch.sizes), forward),
        ("target network forward", lambda: network.values(batch.inputs, batch.sizes), forward),
        ("TD errors", errors, 0.0),
        ("network backward", lambda: run.gradient(slopes), backward),
        ("whole step", lambda: learner.train(batch), 2 * forward + backward),
        ("a product of the step's rows", lambda: torch.mm(left, right, out=product), 2.0 * rows * 3 * hidden * hidden),
    ]
    for name, part, operations in parts:
        seconds = best_of(part, repeats)
        rate = f"{operations / seconds / 1e9:10.1f} GFLOP/s" if operations else ""
        print(f"{name:<32}{1000 * seconds:>8.3f} ms{rate}")


def print_stacked(agents: Sequence[Student], batch_size: int, repeats: int) -> None:
    """Print the time of a training step of all agents, alone one after the other and as one."""
    rng = np.random.default_rng(0)
    drawn = [buffer.sample(rng, batch_size) for _, buffer in agents]
    steps = [_with_batch(agent.learner, batch) for agent, batch in zip(agents, drawn, strict=True)]
    device = steps[0].learner.device.type
    longest = max(len(batch.actions) for batch in drawn)
    print(f"\nbatch {batch_size}: {len(steps)} agents on {device}, {longest} steps; ms best, median")

    def alone() -> None:
        for step in steps:
            step.take()

    for name, part in (("one after the other", alone), ("as one", lambda: take_together(steps))):
        part()  # what is made once
        spent = []
        for _ in range(repeats):
            began = time.perf_counter()
            part()  # returns figures of the step, which has ended then
            spent.append(1000 * (time.perf_counter() - began))
        print(f"{name:<32}{min(spent):>8.3f}{statistics.median(spent):>9.3f}")


def _with_batch(learner: Learner, batch: Batch) -> TrainingStep:
    return TrainingStep(learner, lambda: batch)


def best_of(part: Callable[[], object], repeats: int) -> float:
    """Return the least CPU-seconds of so many calls."""
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        part()
        spent.append(time.process_time() - began)
    return min(spent)


if __name__ == "__main__":
    main()
