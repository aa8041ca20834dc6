"""SMAC on the stand-in, through the backend's workers, against skirmish: the same battles must look and end the same.

The stand-in plays skirmish's physics, so what is compared is SMAC's own layer, its protocol, and the way through a
worker: observations, availability, state, reward and ending of every step.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from envproxy.backend import Observation, StepResult
from envproxy.backends import skirmish, smac
from envproxy.backends.skirmish.policies import POLICIES
from envproxy.maps.smac import names
from envproxy.rules import SMAC_RULES, Rules
from tests.starcraft.battle import battle_seed
from tests.starcraft.host import SMAC, battle_host, needs_smac

pytestmark = pytest.mark.system
SLOTS = 4
BATTLES = 5  # of each slot
SIGHT_ROUNDS = 1e-5  # positions travel as float32

RULES = {
    "3m": "obs-last-action=true obs-pathing-grid=true obs-terrain-height=true state-timestep-number=true",
    "2s3z": "obs-all-health=false obs-own-health=false reward-only-positive=false reward-defeat=-50",
    "MMM": "obs-instead-of-state=true reward-sparse=true step-mul=4 obs-terrain-height=true",
    "corridor": "obs-terrain-height=true move-amount=3 reward-scale=false state-last-action=false",
    "2c_vs_64zg": "obs-terrain-height=true obs-pathing-grid=true reward-win=100 reward-death-value=20",
}


class Pair:
    """The same battles on both: battle k of a slot is the k-th of its game, whose seed the slot's first one has."""

    def __init__(self, map_name: str, rules: Rules) -> None:
        self.game, self.simulated = smac.create(map_name, SLOTS, rules), skirmish.create(map_name, SLOTS, rules)
        self.begun = np.zeros(SLOTS, np.int64)
        self.compared = 0

    def reset(self, mask: NDArray[np.bool_]) -> None:
        seeds = np.arange(SLOTS).astype(np.uint64) + np.uint64(7)
        self.game.reset(mask, seeds)
        of_battles = [battle_seed(int(seed), int(k)) for seed, k in zip(seeds, self.begun, strict=True)]
        self.simulated.reset(mask, np.array(of_battles, np.uint64))
        self.begun += mask
        self.see()

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        shown, expected = self.game.step(actions), self.simulated.step(actions)
        self._compare(shown, expected)
        self.see()
        return shown

    def see(self) -> Observation:
        shown = self.game.observe()
        self._compare(shown, self.simulated.observe())
        return shown

    def _compare(self, shown: StepResult | Observation, expected: StepResult | Observation) -> None:
        ones, others = cast(Iterable[NDArray[Any]], shown), cast(Iterable[NDArray[Any]], expected)
        for name, one, other in zip(shown._fields, ones, others, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=SIGHT_ROUNDS, err_msg=name)
            self.compared += one.size


def play(pair: Pair, battles: int) -> dict[str, int]:
    """Play so many battles in each slot, with another policy each time; count how they ended."""
    rng = np.random.default_rng(1)
    policies = [POLICIES["nearest"], POLICIES["random"], POLICIES["focus"], POLICIES["random"]]
    on = np.ones(SLOTS, np.bool_)
    pair.reset(on)
    ended = {"won": 0, "lost": 0, "timed out": 0}
    while on.any():
        seen = pair.simulated.observe()
        chosen = np.stack([policy(pair.simulated, seen, rng) for policy in policies])
        number = (pair.begun + np.arange(SLOTS)) % len(policies)
        result = pair.step(chosen[number, np.arange(SLOTS)])
        over = result.terminated | result.truncated
        ended["won"] += int(result.won.sum())
        ended["timed out"] += int(result.truncated.sum())
        ended["lost"] += int((result.terminated & ~result.won).sum())
        next_ = over & (pair.begun < battles)
        on &= ~over | next_
        if next_.any():
            pair.reset(next_)
    return ended


@needs_smac
@pytest.mark.parametrize("map_name", names())
def test_smac_shows_what_skirmish_shows(map_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with battle_host(tmp_path, monkeypatch, packages=str(SMAC), maps=[map_name]):
        pair = Pair(map_name, SMAC_RULES)
        try:
            ended = play(pair, BATTLES)
        finally:
            pair.game.close()
    assert sum(ended.values()) == SLOTS * BATTLES
    assert pair.game.restarts == 0
    print(f"{map_name}: {pair.compared:,} numbers, {ended}")


@needs_smac
@pytest.mark.parametrize("map_name", RULES)
def test_smac_under_other_rules_shows_what_skirmish_shows(
    map_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with battle_host(tmp_path, monkeypatch, packages=str(SMAC), maps=[map_name]):
        pair = Pair(map_name, Rules.parse(RULES[map_name]))
        try:
            assert sum(play(pair, 2).values()) == SLOTS * 2
        finally:
            pair.game.close()
