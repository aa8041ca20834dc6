"""What learning costs: CPU-seconds of a team's training step on several maps, environment steps per second of a run.

    python -m benchmarks.learner [--maps 3m 2s3z MMM2] [--base vdn qmix] [--mixing solo joint] [--repeats 10]
        [--run-steps 30000] [--threads 1 2]

Networks, batches and all else are the defaults, Table 1 of the paper. A team's training step is one of every agent,
one after the other on one thread, with the drawing of the batches: each alone, or jointly on the same battles with the
mixer, without the messages between them. The battles are those of a random team.
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
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from flwr.app import Message
from numpy.typing import NDArray

from envproxy.backends.skirmish import create, map_names
from envproxy.backends.skirmish.policies import POLICIES
from learning.batch import Batch
from learning.battle import Battle
from learning.buffer import BattleBuffer
from learning.joint import JointMixer
from learning.learner import Learner
from learning.memory import keep_freed_memory
from learning.settings import Base, LearningSettings, Mixing
from pps_qmix.configuration import Value, default_config
from pps_qmix.runtime.in_process import Federation, run_in_process
from pps_qmix.runtime.seat_sizes import seat_spec
from server.run_directory import read_rows
from strategies.messages import TRAIN

MAPS: Final = ["3m", "2s3z", "MMM2"]
BATTLES: Final = 128  # in a buffer, of which a batch is drawn
TARGETS: Final = {("3m", "vdn"): 0.075, ("2s3z", "vdn"): 0.25}  # CPU-seconds of a team's training step
RUN_MAP: Final = "3m"
RUN_TARGET: Final = 500  # environment steps a second


class Student(NamedTuple):
    """A seat's learner, and a buffer of battles as that seat saw them."""

    learner: Learner
    buffer: BattleBuffer


class TimedTeam(Federation):
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


class Played(NamedTuple):
    """BATTLES battles of a random team."""

    seats: list[list[Battle]]  # for every seat how it saw them
    states: NDArray[np.float32]  # [T+1, BATTLES, s], of the longest battle's T


def random_battles(map_name: str) -> Played:
    """Play BATTLES battles of a random team."""
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
                Battle(
                    obs[: n + 1, i], available[: n + 1, i], chosen[:n, i], every_reward[:n, i], bool(terminated[i]), i
                )
                for i, n in enumerate(lengths)
            ]
        )
    return Played(seats, np.stack([now.state for now in seen]))


def students(map_name: str, settings: LearningSettings, seats: Sequence[Sequence[Battle]]) -> list[Student]:
    """Make the team's learners and fill their buffers."""
    spec = create(map_name, 1).spec
    team = []
    for seat, battles in enumerate(seats):
        sizes = seat_spec(spec, seat)
        student = Student(Learner(sizes, settings, seed=0), BattleBuffer(None, BATTLES, sizes))
        for battle in battles:
            student.buffer.add(battle)
        team.append(student)
    return team


def solo_step(team: Sequence[Student], batch_size: int, seed: int) -> None:
    """Let every agent take a training step alone."""
    for seat, (learner, buffer) in enumerate(team):
        learner.train(buffer.sample(np.random.default_rng([seed, seat]), batch_size))


def joint_step(team: Sequence[Student], mixer: JointMixer, played: Played, batch_size: int, seed: int) -> None:
    """Let all agents take a training step on the same of their battles, with the mixer."""
    drawn = np.random.default_rng(seed).choice(BATTLES, batch_size, replace=False)
    every_length = np.array([played.seats[0][i].length for i in drawn])
    order = np.argsort(-every_length, kind="stable")  # longest first, as a batch is
    battles, lengths = drawn[order], every_length[order]
    batches = [_selected(buffer, battles.astype(np.uint64)) for _, buffer in team]
    utilities = [learner.utilities(batch) for (learner, _), batch in zip(team, batches, strict=True)]
    chosen, bootstrap = (
        np.stack(each, -1) for each in zip(*((each.chosen, each.best) for each in utilities), strict=True)
    )
    gradient = mixer.gradient(
        chosen,
        bootstrap,
        played.states[: lengths[0] + 1, battles],
        batches[0].rewards.numpy(),
        lengths,
        batches[0].terminated.numpy(),
    )
    squared = sum(
        learner.backpropagate(utilities[seat], torch.from_numpy(gradient[..., seat].copy()))
        for seat, (learner, _) in enumerate(team)
    )
    scale, _ = mixer.apply(squared)
    for learner, _ in team:
        learner.apply(scale)


def step_row(map_name: str, base: Base, mixing: Mixing, played: Played, repeats: int) -> str:
    """Return a line of the table of training steps."""
    settings = LearningSettings.from_config({**default_config(), "base": base, "mixing": mixing})
    team = students(map_name, settings, played.seats)
    if mixing == "joint":
        mixer = JointMixer(
            len(team), played.states.shape[-1], base=base, learning_rate=settings.learning_rate, gamma=settings.gamma,
            td_lambda=settings.td_lambda, target_update_every=settings.target_update_every,
            grad_clip=settings.grad_clip, seed=0,
        )  # fmt: skip

    def step(seed: int) -> None:
        if mixing == "joint":
            joint_step(team, mixer, played, settings.batch_size, seed)
        else:
            solo_step(team, settings.batch_size, seed)

    step(0)  # Adam's moments are made
    spent = [_cpu_seconds(step, 1 + repeat) for repeat in range(repeats)]
    length = np.mean([battle.length for battle in played.seats[0]])
    target = TARGETS.get((map_name, base))
    return (
        f"{map_name:<10}{base:<6}{mixing:<7}{len(team):>7}{length:>9.1f}{min(spent):>10.4f}"
        f"{statistics.median(spent):>10.4f}" + (f"{target:>10.3f}" if target else f"{'-':>10}")
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


def _cpu_seconds(step: Callable[[int], None], seed: int) -> float:
    began = time.process_time()
    step(seed)
    return time.process_time() - began


def _selected(buffer: BattleBuffer, battles: NDArray[np.uint64]) -> Batch:
    """These battles, longest first: as the mixer draws them."""
    batch = buffer.select(battles)
    assert batch is not None
    return batch


def machine() -> str:
    """Return what the figures depend on and the table does not show."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"torch {torch.__version__}, {os.cpu_count()} cores, load {load}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", nargs="*", default=MAPS, choices=map_names(), metavar="MAP")
    parser.add_argument("--base", nargs="+", default=["vdn"], choices=["vdn", "qmix"])
    parser.add_argument("--mixing", nargs="+", default=["solo"], choices=["solo", "joint"])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--run-steps", type=int, default=30_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="of the runs")
    options = parser.parse_args()

    torch.set_num_threads(1)  # both as an agent does
    keep_freed_memory()
    print(machine())
    columns = f"{'map':<10}{'base':<6}{'mixing':<7}{'agents':>7}{'length':>9}{'best':>10}{'median':>10}{'target':>10}"
    print(f"{columns}   (CPU-seconds)")
    for map_name in options.maps:
        played = random_battles(map_name)
        for base in options.base:
            for mixing in options.mixing:
                print(step_row(map_name, base, mixing, played, options.repeats), flush=True)
    for threads in options.threads if options.run_steps else []:
        print(run_row(options.run_steps, threads), flush=True)
    print(machine())


if __name__ == "__main__":
    main()
