"""What holds in every battle, over random legal play."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from envproxy.backends.skirmish import create, map_names
from envproxy.backends.skirmish.policies import POLICIES

SEPARATION = {"2s3z": (0.625, 0.625, 0.375, 0.375, 0.375) * 2}


def legal(available: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    return (rng.random(available.shape) * available).argmax(-1).astype(np.uint8)


@pytest.mark.parametrize("map_name", map_names())
@given(seed=st.integers(0, 2**64 - 1), aggressive=st.booleans())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_a_battle_keeps_its_laws(map_name: str, seed: int, aggressive: bool) -> None:
    battles = create(map_name, 4)
    battles.reset(np.ones(4, bool), np.uint64(seed) + np.arange(4, dtype=np.uint64))
    rng = np.random.default_rng(seed)
    units, n_agents = battles.units, battles.spec.n_agents
    whole = units["health"] + units["shield"]
    radius = np.array(SEPARATION.get(map_name, (0.375,) * units.shape[1]))
    touching = radius[:, None] + radius
    paid = np.zeros(4)
    dead = np.zeros(units.shape, bool)
    for _ in range(battles.spec.episode_limit):
        seen = battles.observe()
        attack = POLICIES["focus"](battles, seen, rng)
        actions = np.where(rng.random(attack.shape) < 0.2, legal(seen.available, rng), attack)
        result = battles.step((actions if aggressive else legal(seen.available, rng)).astype(np.uint8))
        paid += result.reward
        for field in units.dtype.names:
            assert np.isfinite(units[field]).all()
        alive = units["health"] > 0
        assert not (alive & dead).any(), "nobody rises from the dead"
        dead |= ~alive
        assert (units["health"] >= 0).all()
        assert (units["shield"] >= 0).all()
        assert (units["health"] + units["shield"] <= whole).all()
        assert ((units["x"] >= 0) & (units["x"] < 32) & (units["y"] >= 8) & (units["y"] < 24)).all()
        distance = np.hypot(*(units[axis][:, :, None] - units[axis][:, None] for axis in "xy"))
        both = alive[:, :, None] & alive[:, None] & ~np.eye(units.shape[1], dtype=bool)
        assert (distance > touching * 0.6)[both].all(), "bodies in one another"
        over = result.terminated | result.truncated
        won = over & result.won
        np.testing.assert_array_less(19.99, paid[won])
        if map_name != "2s3z":  # where nothing recovers, what was paid is what was lost
            lost = (whole - units["health"])[:, n_agents:].sum(1) + 10 * dead[:, n_agents:].sum(1)
            divisor = (whole[0, n_agents:].sum() + 10 * (units.shape[1] - n_agents) + 200) / 20
            ever_won = ~alive[:, n_agents:].any(1) & alive[:, :n_agents].any(1)
            np.testing.assert_allclose(paid, (lost + 200 * ever_won) / divisor, rtol=1e-5, atol=1e-5)


def test_scripted_focus_wins_and_its_return_is_twenty() -> None:
    battles, rng = create("3m", 64), np.random.default_rng(0)
    battles.reset(np.ones(64, bool), np.arange(64, dtype=np.uint64))
    paid, won = np.zeros(64), np.zeros(64, bool)
    for _ in range(60):
        result = battles.step(POLICIES["focus"](battles, battles.observe(), rng))
        paid += result.reward
        won |= result.won
    assert won.any()
    np.testing.assert_allclose(paid[won], 20, rtol=1e-5)
    assert (paid[~won] < 20).all()


def test_spawns_are_crowds_around_their_points_and_differ_with_the_seed() -> None:
    for map_name in map_names():
        battles = create(map_name, 20)
        battles.reset(np.ones(20, bool), np.arange(20, dtype=np.uint64))
        n_agents = battles.spec.n_agents
        allies, enemies = battles.units[:, :n_agents], battles.units[:, n_agents:]
        assert np.hypot(allies["x"] - 9, allies["y"] - 16).max() < 3
        assert np.hypot(enemies["x"] - 23, enemies["y"] - 16).max() < 3
        assert len(np.unique(allies["x"])) == allies.size
