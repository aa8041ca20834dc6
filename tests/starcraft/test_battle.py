"""Battles on orders, without a wire."""

from __future__ import annotations

import numpy as np
import pytest

from envproxy.maps.smac import names
from tests.starcraft.battle import FIRST_ALLY_TYPE, STOCK_TYPES, Battles, _displacement, battle_seed


def tags(battles: Battles, owner: int) -> list[int]:
    return [unit.tag for unit in battles.seen_units() if unit.owner == owner]


def test_each_battle_has_a_different_seed() -> None:
    seeds = {battle_seed(seed, battle) for seed in (0, 1, 2**32 - 1) for battle in range(3)}
    assert len(seeds) == 9
    assert battle_seed(7, 1) == np.random.SeedSequence([7, 1]).generate_state(1, np.uint64)[0]


def test_the_next_battle_begins_when_no_unit_lives() -> None:
    battles = Battles("3m", 0)
    battles.kill(tags(battles, 1))
    battles.advance(8)
    assert battles.number == 0
    battles.kill(tags(battles, 2))
    assert battles.seen_units() == []
    battles.advance(8)
    assert battles.number == 1
    assert not battles.units["cooldown"].any(), "no loop of it was played"


@pytest.mark.parametrize("killed", [True, False])
def test_banelings_burst_when_they_fall_and_not_when_they_are_removed(killed: bool) -> None:
    battles = Battles("bane_vs_bane", 0)
    battles.units["x"], battles.units["y"] = 8.0, 16.0
    banelings = [unit.tag for unit in battles.seen_units() if unit.unit_type == STOCK_TYPES["Baneling"]]
    before = len(tags(battles, 1))
    if killed:
        battles.kill(tags(battles, 2))
        battles.advance(16)
        assert len(tags(battles, 1)) == before
    else:
        battles.kill(set(tags(battles, 2)) - set(banelings))
        battles.advance(16)
        assert len(tags(battles, 1)) < before


def test_a_displacement_that_was_rounded_is_the_one_that_was_meant() -> None:
    rng = np.random.default_rng(0)
    for here in rng.uniform(0.0, 32.0, 1000):
        shown = float(np.float32(here))
        for meant in (2.0, -2.0, 0.0, 0.5, 1.25):
            assert _displacement(float(np.float32(shown + meant)), here) == meant
    assert _displacement(float(np.float32(10.3003)), 10.0) == pytest.approx(0.3003, abs=1e-6)
    assert _displacement(float(np.float32(10.3003)), 10.0) != pytest.approx(0.3003, abs=1e-9)


def test_allies_are_shown_in_disorder_and_enemies_in_order() -> None:
    shown = [unit.tag for unit in Battles("27m_vs_30m", 0).seen_units()]
    assert sorted(shown[:27]) != shown[:27]
    assert sorted(shown[27:]) == shown[27:]


def test_every_map_has_types_that_are_known() -> None:
    for name in names():
        units = Battles(name, 0).seen_units()
        kinds = {unit.unit_type for unit in units if unit.owner == 1}
        assert kinds == set(range(FIRST_ALLY_TYPE, FIRST_ALLY_TYPE + len(kinds)))
        assert {unit.unit_type for unit in units if unit.owner == 2} <= set(STOCK_TYPES.values())
