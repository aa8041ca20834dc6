"""What the skirmish simulator costs: environment steps per second on one core, memory, and start-up times.

    python -m benchmarks.skirmish [--maps 3m 2s3z] [--battles 1 8 32] [--repeats 5] [--cold]

Random available actions; one timed step is step + observe + restart of the battles that ended, and the choice of
actions is not counted. A step of E battles counts as E environment steps.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

import numpy as np
import psutil

from envproxy.backend import Observation
from envproxy.backends.skirmish import Skirmish, create, map_names
from envproxy.backends.skirmish.policies import POLICIES

# From the smallest to those with the most units, and with walls; and scenarios of three sizes.
MAPS: Final = [
    *("3m", "2s3z", "10m_vs_11m", "MMM2", "corridor", "27m_vs_30m", "2c_vs_64zg"),
    *("terran_5_vs_5", "protoss_10_vs_10", "terran_20_vs_23"),
]
STEPS: Final = 300  # of one repeat
MANY: Final = 1024  # battles whose memory is measured
START_UP: Final = (
    "import time; began = time.perf_counter(); import numpy as np; from envproxy.backend import create_backend;"
    "arena = create_backend('skirmish', '3m', 8);"
    "arena.reset(np.ones(8, np.bool_), np.arange(8, dtype=np.uint64));"
    "arena.step(np.ones((8, 3), np.uint8)); arena.observe(); print(time.perf_counter() - began)"
)


def steps_per_second(arena: Skirmish, rng: np.random.Generator) -> float:
    """Play STEPS steps and return environment steps per second of the arena's own time."""
    seeds = rng.integers(0, 2**63, arena.battles, np.uint64)
    arena.reset(np.ones(arena.battles, np.bool_), seeds)
    seen = arena.observe()
    spent = 0.0
    for _ in range(STEPS):
        actions = POLICIES["random"](arena, seen, rng)
        began = time.perf_counter()
        result = arena.step(actions)
        ended = result.terminated | result.truncated
        if ended.any():
            seeds += np.uint64(arena.battles)
            arena.reset(ended, seeds)
        seen = arena.observe()
        spent += time.perf_counter() - began
    return STEPS * arena.battles / spent


def begin(map_name: str, battles: int) -> tuple[Skirmish, Observation]:
    """Begin battles, let a step pass and look at them."""
    arena = create(map_name, battles)
    arena.reset(np.ones(battles, np.bool_), np.arange(battles, dtype=np.uint64))
    arena.step(np.ones((battles, arena.spec.n_agents), np.uint8))
    return arena, arena.observe()


def resident_growth(map_name: str) -> int:
    """Return by how many bytes this process grows with MANY battles and one observation of them."""
    begin(map_name, 1)  # loads or compiles
    process = psutil.Process()
    before = process.memory_info().rss
    held = begin(map_name, MANY)
    after = process.memory_info().rss
    del held
    return after - before


def memory_row(map_name: str) -> str:
    """Return a line of the table of memory. The growth is that of a fresh process, which has nothing to reuse."""
    arena, seen = begin(map_name, 1)
    battle, observation = arena.units.nbytes + arena.progress.nbytes, sum(array.nbytes for array in seen)
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        growth = fresh.submit(resident_growth, map_name).result() / MANY
    return f"{map_name:<16}{battle:>12,}{observation:>12,}{growth:>12,.0f}"


def start_up_seconds(cache: str | None) -> float:
    """Return what a new process takes from its first import to its first observation."""
    environment = os.environ if cache is None else {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-c", START_UP]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", nargs="+", default=MAPS, choices=map_names(), metavar="MAP")
    parser.add_argument("--battles", nargs="+", type=int, default=[1, 8, 32], help="values of E")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="also time a start that has to compile")
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    print(f"{'map':<16}{'E':>4}{'best/s':>12}{'median/s':>12}   ({options.repeats} x {STEPS} steps of E battles)")
    for name in options.maps:
        for battles in options.battles:
            arena = create(name, battles)
            steps_per_second(arena, rng)  # loads or compiles
            rates = [steps_per_second(arena, rng) for _ in range(options.repeats)]
            print(f"{name:<16}{battles:>4}{max(rates):>12,.0f}{statistics.median(rates):>12,.0f}")
    print(f"{'map':<16}{'battle':>12}{'observation':>12}{'resident':>12}   (bytes per battle; resident: of E={MANY})")
    for name in options.maps:
        print(memory_row(name))
    print(f"start to first observation, compiled before: {start_up_seconds(None):.2f} s")
    if options.cold:
        with tempfile.TemporaryDirectory() as cache:
            print(f"start to first observation, cold: {start_up_seconds(cache):.2f} s")


if __name__ == "__main__":
    main()
