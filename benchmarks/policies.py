"""What scripted teams achieve on each map: a Markdown table of win rates, returns and lengths. Minutes for all maps.

    python -m benchmarks.policies [--maps 3m 2s3z] [--teams heuristic] [--battles 1000]

Every team plays the battles of the seeds 0, 1, 2, ... A return is the team's reward over a battle, a length is in
environment steps, the interval is Wilson's.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish import Skirmish, map_names
from envproxy.backends.skirmish.policies import NAMES, Policy, scripted_team
from envproxy.rules import SMAC_RULES

AT_ONCE: Final = 100  # battles that step together
Z: Final = 1.959964  # 95 % of a normal distribution lie within


class Results(NamedTuple):
    """How some battles went."""

    won: NDArray[np.bool_]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]


def play(map_name: str, policy: Policy, battles: int) -> Results:
    """Play the battles of the seeds 0..battles-1 to their ends."""
    rng = np.random.default_rng(0)
    results = Results(np.zeros(battles, np.bool_), np.zeros(battles), np.zeros(battles, np.int64))
    for first in range(0, battles, AT_ONCE):
        batch = slice(first, min(first + AT_ONCE, battles))
        seeds = np.arange(batch.start, batch.stop, dtype=np.uint64)
        arena = Skirmish(map_name, len(seeds), SMAC_RULES, masked=False)
        on = np.ones(len(seeds), np.bool_)
        arena.reset(on, seeds)
        while on.any():
            step = arena.step(policy(arena, arena.observe(), rng))
            results.won[batch] |= step.won
            results.returns[batch] += step.reward
            results.lengths[batch] += on
            on &= ~(step.terminated | step.truncated)
    return results


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a rate."""
    rate = successes / trials
    centre = (rate + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    reach = Z * math.sqrt(rate * (1 - rate) / trials + Z**2 / (4 * trials**2)) / (1 + Z**2 / trials)
    return centre - reach, centre + reach


def table_row(map_name: str, policy: str, results: Results) -> str:
    """Return a line of the table."""
    low, high = wilson(int(results.won.sum()), results.won.size)
    won = f"{results.won.mean():.1%} | {low:.1%} to {high:.1%}"
    return f"| {map_name} | {policy} | {won} | {results.returns.mean():.2f} | {results.lengths.mean():.1f} |"


def main() -> None:
    """Print the table, and on standard error how far it has come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", nargs="+", default=map_names(), choices=map_names(), metavar="MAP")
    parser.add_argument("--teams", nargs="+", default=NAMES, choices=NAMES, metavar="TEAM")
    parser.add_argument("--battles", type=int, default=1000, help="per map and team")
    options = parser.parse_args()
    if options.battles < 1:
        parser.error("--battles: expected at least 1")

    print("| map | team | won | 95 % interval | mean return | mean length |")
    print("|---|---|---|---|---|---|")
    for map_name in options.maps:
        for name in options.teams:
            began = time.perf_counter()
            print(table_row(map_name, name, play(map_name, scripted_team(name), options.battles)), flush=True)
            print(f"{map_name}, {name}: {time.perf_counter() - began:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
