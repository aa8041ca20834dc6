"""The table of the scripted teams."""

import numpy as np
import pytest

from benchmarks.policies import AT_ONCE, play, table_row, wilson
from envproxy.backends.skirmish import create
from envproxy.backends.skirmish.policies import POLICIES


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    [(50, 100, (0.4038, 0.5962)), (0, 100, (0.0, 0.0370)), (1000, 1000, (0.9962, 1.0)), (1, 10, (0.0179, 0.4042))],
)
def test_wilsons_interval(successes: int, trials: int, interval: tuple[float, float]) -> None:
    assert wilson(successes, trials) == pytest.approx(interval, abs=1e-4)


def test_every_seeds_battle_is_counted_once() -> None:
    results = play("3m", POLICIES["nearest"], AT_ONCE + 3)
    alone = create("3m", 1)
    alone.reset(np.ones(1, np.bool_), np.array([AT_ONCE + 1], np.uint64))
    total, steps = 0.0, 0
    while alone.progress["phase"][0] == 1:
        result = alone.step(POLICIES["nearest"](alone, alone.observe(), np.random.default_rng(0)))
        total += float(result.reward[0])
        steps += 1
    assert (results.won[-2], results.lengths[-2]) == (result.won[0], steps)
    assert results.returns[-2] == pytest.approx(total)
    assert len(results.won) == AT_ONCE + 3


def test_a_row_says_how_sure_it_is() -> None:
    results = play("3m", POLICIES["random"], 20)
    assert table_row("3m", "random", results).startswith("| 3m | random | 0.0% | 0.0% to 16.1% | ")
