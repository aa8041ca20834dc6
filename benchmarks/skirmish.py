"""How fast the skirmish simulator plays: environment steps per second on one core, and its start-up times.

    python -m benchmarks.skirmish [--maps 3m 2s3z] [--battles 1 8 32] [--repeats 5] [--cold]

Random valid actions; one timed step is step + observe + restart of the battles that ended, and the choice of actions
is not counted. A step of E battles counts as E environment steps.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import Backend, create_backend, map_names

BACKEND = "skirmish"
STEPS = 300  # of one repeat
START_UP = (
    "import time; began = time.perf_counter(); import numpy as np; from envproxy.backend import create_backend;"
    f"arena = create_backend({BACKEND!r}, '3m', 8);"
    "arena.reset(np.ones(8, np.bool_), np.arange(8, dtype=np.uint64));"
    "arena.step(np.ones((8, 3), np.uint8)); arena.observe(); print(time.perf_counter() - began)"
)


def random_actions(available: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one available action [E, N] per seat."""
    return np.asarray((rng.random(available.shape) * available).argmax(-1), np.uint8)


def steps_per_second(arena: Backend, rng: np.random.Generator) -> float:
    """Play STEPS steps and return environment steps per second of the arena's own time."""
    seeds = rng.integers(0, 2**63, arena.battles, np.uint64)
    arena.reset(np.ones(arena.battles, np.bool_), seeds)
    seen = arena.observe()
    spent = 0.0
    for _ in range(STEPS):
        actions = random_actions(seen.available, rng)
        began = time.perf_counter()
        result = arena.step(actions)
        ended = result.terminated | result.truncated
        if ended.any():
            seeds += np.uint64(arena.battles)
            arena.reset(ended, seeds)
        seen = arena.observe()
        spent += time.perf_counter() - began
    return STEPS * arena.battles / spent


def start_up_seconds(cache: str | None) -> float:
    """Return what a new process takes from its first import to its first observation."""
    environment = os.environ if cache is None else {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-c", START_UP]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", nargs="+", default=map_names(BACKEND), choices=map_names(BACKEND))
    parser.add_argument("--battles", nargs="+", type=int, default=[1, 8, 32], help="values of E")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="also time a start that has to compile")
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    print(f"{'map':<16}{'E':>4}{'best/s':>12}{'median/s':>12}   ({options.repeats} x {STEPS} steps of E battles)")
    for name in options.maps:
        for battles in options.battles:
            arena = create_backend(BACKEND, name, battles)
            steps_per_second(arena, rng)  # loads or compiles
            rates = [steps_per_second(arena, rng) for _ in range(options.repeats)]
            print(f"{name:<16}{battles:>4}{max(rates):>12,.0f}{statistics.median(rates):>12,.0f}")
    print(f"start to first observation, compiled before: {start_up_seconds(None):.2f} s")
    if options.cold:
        with tempfile.TemporaryDirectory() as cache:
            print(f"start to first observation, cold: {start_up_seconds(cache):.2f} s")


if __name__ == "__main__":
    main()
