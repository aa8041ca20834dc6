"""What the backend smac costs, and what its faults cost, with the tests' stand-in in the place of StarCraft II.

    python -m benchmarks.starcraft SMAC speed [--maps 3m MMM2 27m_vs_30m] [--battles 1 8] [--ticks 300]
    python -m benchmarks.starcraft SMAC faults
    python -m benchmarks.starcraft SMAC curve RUNS [--map 3m] [--total-steps 100000] [--seed 0]

SMAC is a folder with unmodified SMAC; --python names the workers' interpreter (default: ours, which needs pysc2). The
stand-in is not StarCraft II: its figures say what SMAC, its protocol and our workers cost beside a game, and how soon
play continues after a fault, not how fast the game is.

`speed` prints a Markdown table. A step is one of one battle; CPU is that of all processes of a kind, over all steps.
E = 0 is SMAC by itself, as its users call it: one battle, without our worker, its pipe and the env proxy.
`curve` trains twice in this process with the preset `quick`, on smac and on skirmish with the very same battles, into
the folder RUNS; `python -m benchmarks.curves` draws both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from envproxy.backend import Backend, StepResult
from envproxy.backends import skirmish
from envproxy.backends.skirmish import Skirmish
from envproxy.backends.smac import SmacBattles, create
from envproxy.backends.smac.options import INTERPRETER
from envproxy.rules import SMAC_RULES, Rules
from pps_qmix.configuration import Value, default_config, preset
from tests.starcraft.battle import battle_seed
from tests.starcraft.faults import Fault, write_faults
from tests.starcraft.installation import make_installation

MIB: Final = 2**20
FAULTS: Final = {
    "the game crashes": Fault("crash", launches=(0,), number=5),
    "the game answers with an error": Fault("error", launches=(0,), number=5, words="no"),
    "the game hangs": Fault("hang", launches=(0,), number=5),
    "the game does not listen, once": Fault("never-listens", launches=(0,)),
    "the game ends at its start, once": Fault("exit-at-start", launches=(0,), words="no licence"),
    "the game crashes between two battles": Fault("crash", launches=(0,), at="debug"),
}
WAITS: Final = "start-timeout=10, step-timeout=2"  # the defaults are 180 and 30

_ALONE: Final = """
import os, sys, time
import numpy as np
from absl import flags
from smac.env.starcraft2.starcraft2 import StarCraft2Env
flags.FLAGS(sys.argv[:1])
env, ticks, rng = StarCraft2Env(map_name=sys.argv[1], seed=1), int(sys.argv[2]), np.random.default_rng(0)
env.reset()
cpu = lambda: sum(map(int, open(f"/proc/{env._sc2_proc.pid}/stat").read().rsplit(")", 1)[1].split()[11:13])) / 100
before = time.perf_counter(), time.process_time(), cpu()
for _ in range(ticks):
    available = np.array(env.get_avail_actions())
    _, over, _ = env.step((rng.random(available.shape) * available).argmax(-1))
    env.get_obs(), env.get_state()
    if over:
        env.reset()
after = time.perf_counter(), time.process_time(), cpu()
print(*(end - begin for begin, end in zip(before, after)))
env.close()
"""


class Costs(NamedTuple):
    """What playing took, in total."""

    wall: float  # seconds, like the next three
    ours: float
    workers: float
    games: float
    worker_memory: int  # bytes of one battle's keeper and worker
    game_memory: int


@contextmanager
def installed(folder: Path, smac: Path, python: str) -> Iterator[Path]:
    """Have the stand-in in `folder`, and let workers find it and SMAC."""
    installation = make_installation(folder / "StarCraftII")
    os.environ.update({"SC2PATH": str(installation), INTERPRETER: python, "PYTHONPATH": str(smac)})
    yield installation


def legal(available: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw an available action [E, N] per seat, and 0 where there is none."""
    drawn: NDArray[np.intp] = (rng.random(available.shape) * available).argmax(-1)
    return drawn.astype(np.uint8)


def seeds(count: int) -> NDArray[np.uint64]:
    return np.arange(1, 1 + count).astype(np.uint64)


def play(arena: Backend, ticks: int) -> int:
    """Play with random actions, battle after battle; return the steps of all battles."""
    rng = np.random.default_rng(0)
    for _ in range(ticks):
        result = arena.step(legal(arena.observe().available, rng))
        over = result.terminated | result.truncated
        if over.any():
            arena.reset(over, seeds(arena.battles))
    return ticks * arena.battles


def costs(arena: SmacBattles, ticks: int) -> Costs:
    """Play and see what it took."""
    us = psutil.Process()
    keepers = [psutil.Process(pid) for pid in arena.pids()]
    workers = [worker for keeper in keepers for worker in keeper.children()]
    games = [game for worker in workers for game in worker.children()]

    def cpu(processes: list[psutil.Process]) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in processes)

    before = time.perf_counter(), cpu([us]), cpu(keepers + workers), cpu(games)
    play(arena, ticks)
    after = time.perf_counter(), cpu([us]), cpu(keepers + workers), cpu(games)
    memory = [sum(each.memory_full_info().uss for each in group) for group in (keepers + workers, games)]
    wall, ours, theirs, of_games = (end - begin for begin, end in zip(before, after, strict=True))
    return Costs(wall, ours, theirs, of_games, memory[0] // arena.battles, memory[1] // arena.battles)


def alone(map_name: str, ticks: int, python: str) -> Costs:
    """Play with SMAC by itself."""
    said = subprocess.run([python, "-c", _ALONE, map_name, str(ticks)], stdout=subprocess.PIPE, check=True).stdout
    wall, theirs, of_games = map(float, said.split()[-3:])
    return Costs(wall, 0.0, theirs, of_games, 0, 0)


def speed(maps: list[str], battles: list[int], ticks: int, python: str) -> None:
    """Print a row for each map and number of battles."""
    print(f"{ticks} ticks, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    cpu = "ms of CPU a step: env proxy | SMAC and worker | stand-in game"
    print(f"| map | E | start of all, s | steps/s | {cpu} | MiB a battle: worker + game |")
    print("|---|---|---|---|---|---|---|---|")
    for name in maps:
        print(_row(name, 0, "", alone(name, ticks, python), ticks), flush=True)
        for count in battles:
            with closing(create(name, count, SMAC_RULES, "memory=100000")) as arena:
                began = time.perf_counter()
                arena.reset(np.ones(count, np.bool_), seeds(count))
                started = f"{time.perf_counter() - began:.1f}"
                print(_row(name, count, started, costs(arena, ticks), ticks * count), flush=True)


def _row(name: str, count: int, started: str, found: Costs, steps: int) -> str:
    cpu = " | ".join(f"{1000 * seconds / steps:.2f}" for seconds in (found.ours, found.workers, found.games))
    memory = f"{found.worker_memory / MIB:.0f} + {found.game_memory / MIB:.0f}" if count else ""
    return f"| {name} | {count} | {started} | {steps / found.wall:,.0f} | {cpu} | {memory} |"


def faults(installation: Path, temporary: Path) -> None:
    """Print for each fault how long it takes until its slot plays on, and what is left after the end."""
    print(f"with {WAITS}; load {os.getloadavg()[0]:.1f}\n")
    print("| fault | s until the battle is told as void | s until the slot plays again | processes, directories left |")
    print("|---|---|---|---|")
    for name, fault in FAULTS.items():
        write_faults(installation, [fault])
        for launch in (installation / "launches").glob("*"):
            launch.unlink()
        with closing(create("3m", 1, SMAC_RULES, WAITS)) as arena:
            told, played = _recovered(arena)
        left = sum(_is_ours(process, temporary) for process in psutil.process_iter(["environ", "status"]))
        print(f"| {name} | {told} | {played:.1f} | {left}, {len(list(temporary.iterdir()))} |", flush=True)


def _recovered(arena: SmacBattles) -> tuple[str, float]:
    """Play to the fault and past it: seconds of the step that failed ("": none did), and until the next one."""
    rng, all_ = np.random.default_rng(0), np.ones(1, np.bool_)
    began = time.perf_counter()
    arena.reset(all_, seeds(1))
    arena.step(legal(arena.observe().available, rng))
    first, told = time.perf_counter() - began, ""
    for _ in range(120):
        began = time.perf_counter()
        result: StepResult = arena.step(legal(arena.observe().available, rng))
        restarts = arena.restarts
        if result.void[0]:
            told = f"{time.perf_counter() - began:.2f}"
        if result.terminated[0] or result.truncated[0]:
            arena.reset(all_, seeds(1))
            arena.step(legal(arena.observe().available, rng))
            if arena.restarts > restarts or result.void[0]:
                return told, time.perf_counter() - began
    return told, first


def _is_ours(process: psutil.Process, temporary: Path) -> bool:
    theirs = (process.info["environ"] or {}).get("TMPDIR", "")
    return Path(theirs).is_relative_to(temporary) and process.pid != os.getpid() and process.info["status"] != "zombie"


class GamesAgain(Skirmish):
    """Skirmish with the battles that the stand-in's games play: battle k of a slot is the k-th of its first seed."""

    def __init__(self, map_name: str, battles: int, rules: Rules) -> None:
        super().__init__(map_name, battles, rules)
        self._first = np.zeros(battles, np.uint64)
        self._begun = np.zeros(battles, np.int64)

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        """Start the next battle of each slot's game."""
        first = mask & (self._begun == 0)
        self._first[first] = seeds[first] & np.uint64(0xFFFFFFFF)
        games = zip(self._first, self._begun, strict=True)
        super().reset(mask, np.array([battle_seed(int(seed), int(number)) for seed, number in games], np.uint64))
        self._begun += mask


def curve(runs: Path, map_name: str, total_steps: int, seed: int) -> None:
    """Train on both backends."""
    from pps_qmix.runtime.in_process import Federation, run_in_process  # noqa: PLC0415 - loads torch

    def again(map_name: str, battles: int, rules: Rules = SMAC_RULES, options: str = "") -> Skirmish:
        return GamesAgain(map_name, battles, rules)

    skirmish.create = again
    for backend in ("smac", "skirmish"):
        chosen: dict[str, Value] = {
            **preset("quick"),
            **{"map": map_name, "seed": seed, "strategy": "a-pps", "backend": backend, "total-steps": total_steps},
            **{"runs": str(runs), "run": f"{map_name}-{backend}-s{seed}"},
        }
        config = {**default_config(), **chosen}
        began = time.perf_counter()
        with closing(Federation(backend, map_name, int(config["battles"]), "main", threads=2)) as team:
            run_in_process(config, chosen, team)
        print(f"{backend}: {time.perf_counter() - began:.0f} s in {runs / str(config['run'])}", flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("smac", type=Path, metavar="SMAC")
    parser.add_argument("--python", default=sys.executable)
    what = parser.add_subparsers(required=True, dest="what")
    of_speed = what.add_parser("speed")
    of_speed.add_argument("--maps", nargs="+", default=["3m", "MMM2", "27m_vs_30m"])
    of_speed.add_argument("--battles", nargs="+", type=int, default=[1, 8])
    of_speed.add_argument("--ticks", type=int, default=300)
    what.add_parser("faults")
    of_curve = what.add_parser("curve")
    of_curve.add_argument("runs", type=Path)
    of_curve.add_argument("--map", default="3m")
    of_curve.add_argument("--total-steps", type=int, default=100_000)
    of_curve.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pps-qmix-starcraft-") as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        os.environ.update({"TMPDIR": str(temporary), "PPS_HOME": str(Path(folder) / "home")})
        with installed(Path(folder), options.smac.absolute(), options.python) as installation:
            measure: dict[str, Callable[[], None]] = {
                "speed": lambda: speed(options.maps, options.battles, options.ticks, options.python),
                "faults": lambda: faults(installation, temporary),
                "curve": lambda: curve(options.runs.absolute(), options.map, options.total_steps, options.seed),
            }
            measure[options.what]()


if __name__ == "__main__":
    main()
