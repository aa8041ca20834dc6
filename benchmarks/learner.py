"""What learning costs: CPU-seconds of a joint training step on several maps, and environment steps per second of a run.

    python -m benchmarks.learner [--maps 3m 2s3z MMM2] [--base vdn qmix] [--repeats 10] [--run-steps 30000]
        [--threads 1 2]

Networks, batches and all else are the defaults, Table 1 of the paper. A joint training step is one of every agent of
the team, one after the other on one thread, with the drawing of the batches; the battles are those of a random team.
The run is one of 3m in this process, evaluations and all, once for each number of threads; its first round, which
fills the buffers, is left out, and `--run-steps 0` leaves out the runs. Other load on the machine makes a step slower
and never faster: best counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from flwr.app import Message

from cli.defaults import Value, default_config
from cli.in_process import Team, run_in_process
from client.messages import TRAIN
from envproxy.backends.skirmish import create, map_names
from envproxy.backends.skirmish.policies import POLICIES
from learning.battle import Battle
from learning.buffer import BattleBuffer
from learning.learner import Learner
from learning.memory import keep_freed_memory
from learning.settings import LearningSettings, SeatSpec
from server.run_directory import read_rows

MAPS: Final = ["3m", "2s3z", "MMM2"]
BATTLES: Final = 128  # in a buffer, of which a batch is drawn
TARGETS: Final = {("3m", "vdn"): 0.075, ("2s3z", "vdn"): 0.25}  # CPU-seconds of a joint training step
RUN_MAP: Final = "3m"
RUN_TARGET: Final = 500  # environment steps a second


class Student(NamedTuple):
    """A seat's learner, and a buffer of battles as that seat saw them."""

    learner: Learner
    buffer: BattleBuffer


class TimedTeam(Team):
    """A team that takes down what its rounds cost."""

    def __init__(self, map_name: str, battles: int, threads: int) -> None:
        super().__init__("skirmish", map_name, battles, "main", threads=threads)
        self.rounds: list[tuple[float, float]] = []  # seconds, CPU-seconds

    def __call__(self, messages: Sequence[Message]) -> Iterable[Message]:
        wall, cpu = time.perf_counter(), time.process_time()
        replies = list(super().__call__(messages))
        if any(message.metadata.message_type == TRAIN for message in messages):
            self.rounds.append((time.perf_counter() - wall, time.process_time() - cpu))
        return replies


def random_battles(map_name: str) -> list[list[Battle]]:
    """Play BATTLES battles of a random team; return for every seat how it saw them."""
    arena, rng = create(map_name, BATTLES), np.random.default_rng(0)
    on = np.ones(BATTLES, np.bool_)
    lengths, terminated = np.zeros(BATTLES, np.int64), np.zeros(BATTLES, np.bool_)
    arena.reset(on, np.arange(BATTLES, dtype=np.uint64))
    seen, actions, rewards = [arena.observe()], [], []
    while on.any():
        actions.append(POLICIES["random"](arena, seen[-1], rng))
        step = arena.step(actions[-1])
        rewards.append(step.reward)
        seen.append(arena.observe())
        lengths += on
        terminated |= step.terminated
        on &= ~(step.terminated | step.truncated)
    every_reward = np.stack(rewards)
    seats = []
    for seat in range(arena.spec.n_agents):
        obs = np.stack([now.obs[:, seat] for now in seen])
        available = np.stack([now.available[:, seat] for now in seen])
        chosen = np.stack([joint[:, seat] for joint in actions])
        seats.append(
            [
                Battle(obs[: n + 1, i], available[: n + 1, i], chosen[:n, i], every_reward[:n, i], bool(terminated[i]))
                for i, n in enumerate(lengths)
            ]
        )
    return seats


def students(map_name: str, settings: LearningSettings, seats: Sequence[Sequence[Battle]]) -> list[Student]:
    """Make the team's learners and fill their buffers."""
    spec = create(map_name, 1).spec
    team = []
    for seat, battles in enumerate(seats):
        sizes = SeatSpec(seat, spec.n_agents, spec.obs_size, spec.n_actions, spec.episode_limit)
        student = Student(Learner(sizes, settings, seed=0), BattleBuffer(None, BATTLES, sizes))
        for battle in battles:
            student.buffer.add(battle)
        team.append(student)
    return team


def joint_step(team: Sequence[Student], batch_size: int, seed: int) -> float:
    """Take a joint training step; return its CPU-seconds."""
    began = time.process_time()
    for seat, (learner, buffer) in enumerate(team):
        learner.train(buffer.sample(np.random.default_rng([seed, seat]), batch_size))
    return time.process_time() - began


def step_row(map_name: str, base: str, seats: Sequence[Sequence[Battle]], repeats: int) -> str:
    """Return a line of the table of joint training steps."""
    settings = LearningSettings.from_config({**default_config(), "base": base})
    team = students(map_name, settings, seats)
    joint_step(team, settings.batch_size, 0)  # Adam's moments are made
    spent = [joint_step(team, settings.batch_size, 1 + repeat) for repeat in range(repeats)]
    length = np.mean([battle.length for battle in seats[0]])
    target = TARGETS.get((map_name, base))
    return (
        f"{map_name:<10}{base:<6}{len(team):>7}{length:>9.1f}{min(spent):>10.4f}{statistics.median(spent):>10.4f}"
        + (f"{target:>10.3f}" if target else f"{'-':>10}")
    )


def run_row(steps: int, threads: int) -> str:
    """Play a run on so many threads and return what its rounds cost, but for the first."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PPS_HOME"] = f"{folder}/home"
        changed: dict[str, Value] = {"map": RUN_MAP, "total-steps": steps, "runs": folder, "run": "run"}
        config = {**default_config(), **changed}
        team = TimedTeam(RUN_MAP, int(config["battles"]), threads)
        try:
            rows = [row for row in read_rows(run_in_process(config, changed, team).path) if row["kind"] == "round"]
        finally:
            team.close()
    if len(rows) < 2:
        return f"run: {steps} steps are one round, which fills the buffers; more are needed"
    played = sum(row["played"] for row in rows[1:])
    wall, cpu = (sum(spent) for spent in zip(*team.rounds[1:], strict=True))
    parts = {part: sum(row["seconds"][part] for row in rows[1:]) for part in ("waiting", "acting", "learning")}
    shares = ", ".join(f"{part} {len(rows[0]['seats']) * seconds:.1f} s" for part, seconds in parts.items())
    return (
        f"run on {RUN_MAP}, threads {threads}: {played / wall:.0f} environment steps/s (target {RUN_TARGET}), "
        f"{played / cpu:.0f} per CPU-second; {len(rows) - 1} rounds, {played} steps, {wall:.1f} s; all agents: {shares}"
    )


def machine() -> str:
    """Return what the figures depend on and the table does not show."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"torch {torch.__version__}, {os.cpu_count()} cores, load {load}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", nargs="*", default=MAPS, choices=map_names(), metavar="MAP")
    parser.add_argument("--base", nargs="+", default=["vdn"], choices=["vdn", "qmix"])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--run-steps", type=int, default=30_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="of the runs")
    options = parser.parse_args()

    torch.set_num_threads(1)  # both as an agent does
    keep_freed_memory()
    print(machine())
    print(f"{'map':<10}{'base':<6}{'agents':>7}{'length':>9}{'best':>10}{'median':>10}{'target':>10}   (CPU-seconds)")
    for map_name in options.maps:
        seats = random_battles(map_name)
        for base in options.base:
            print(step_row(map_name, base, seats, options.repeats), flush=True)
    for threads in options.threads if options.run_steps else []:
        print(run_row(options.run_steps, threads), flush=True)
    print(machine())


if __name__ == "__main__":
    main()
