"""What holds in every battle of every map, over random legal play."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from envproxy.backends.skirmish import Skirmish, create, map_names
from envproxy.backends.skirmish.maps import kind_names
from envproxy.backends.skirmish.physics import DEEP
from envproxy.backends.skirmish.policies import POLICIES
from envproxy.maps.smac import names

BATTLES, EXAMPLES = 40, 5  # 200 battles a map
MOMENT = 2  # steps, of half a second
GAIN = {"shield": 1.0, "flesh": 0.2734 / 2, "healing": 4.5}  # of one unit in a step


class Bodies:
    """Watches that no two units of one layer stay deep in one another: nearer than half of what they need between them.

    Zerglings squeeze past each other as near as that. They may stay as much nearer as overlaps that are left for later.
    """

    def __init__(self, battles: Skirmish) -> None:
        kinds = battles.facts.kinds[battles.units["kind"]]  # [E, U]
        needed = kinds["separation_radius"][:, :, None] + kinds["separation_radius"][:, None]
        cores = (1.0 - DEEP) * (kinds["core_radius"][:, :, None] + kinds["core_radius"][:, None])
        apart = kinds["layer"][:, :, None] != kinds["layer"][:, None]
        itself = np.eye(kinds.shape[1], dtype=bool)
        self._core = np.where(apart | itself, 0.0, np.minimum(needed / 2, cores))
        self._steps = np.zeros(needed.shape, np.int64)

    def look(self, units: NDArray[np.void], on: NDArray[np.bool_]) -> None:
        there = (units["health"] > 0) & on[:, None]
        distance = np.hypot(*(units[axis][:, :, None] - units[axis][:, None] for axis in "xy"))
        within = (distance < self._core) & there[:, :, None] & there[:, None]
        self._steps = np.where(within, self._steps + 1, 0)
        assert self._steps.max() <= MOMENT, "bodies in one another"


@pytest.mark.parametrize("map_name", map_names())
@given(seed=st.integers(0, 2**64 - 1), aggressive=st.booleans())
@settings(max_examples=EXAMPLES)
def test_a_battle_keeps_its_laws(map_name: str, seed: int, aggressive: bool) -> None:
    battles = create(map_name, BATTLES)
    battles.reset(np.ones(BATTLES, bool), np.uint64(seed) + np.arange(BATTLES, dtype=np.uint64))
    rng = np.random.default_rng(seed)
    units, facts, n_agents = battles.units, battles.facts, battles.spec.n_agents
    kinds = facts.kinds[units["kind"]]
    units_of = np.array(kind_names(map_name))[units["kind"]]
    layers = np.broadcast_to(kinds["layer"], units.shape)
    bodies = Bodies(battles)
    on, dead = np.ones(BATTLES, bool), np.zeros(units.shape, bool)
    for _ in range(battles.spec.episode_limit):
        seen = battles.observe()
        actions = POLICIES["random"](battles, seen, rng)
        if aggressive:
            focus = POLICIES["focus"](battles, seen, rng)
            actions = np.where(rng.random(actions.shape) < 0.2, actions, focus)
        before = units.copy()
        result = battles.step(actions)
        for field in units.dtype.names or ():
            assert np.isfinite(units[field][..., None]).all() or field == "far_from", field
        alive = units["health"] > 0
        assert not (alive & dead).any(), "nobody rises from the dead"
        dead |= ~alive
        for pool in ("health", "shield"):
            assert (units[pool] >= 0).all()
            assert (units[pool] <= kinds[pool]).all()
        assert (units["energy"] >= 0).all()
        column, row = np.floor(units["x"]).astype(int), np.floor(units["y"]).astype(int)
        assert facts.walkable[layers, row, column].all(), "off the ground"
        bodies.look(units, on)
        assert_nothing_is_lost_but_by_damage(before, units, units_of, n_agents)
        on &= ~(result.terminated | result.truncated)
        if not on.any():
            return
    raise AssertionError("a battle outlived its limit")


def assert_nothing_is_lost_but_by_damage(
    before: NDArray[np.void], after: NDArray[np.void], names: NDArray[np.str_], n_agents: int
) -> None:
    """Damage dealt by one side in a step = what the other lost, and what it gained meanwhile by ways that are known.

    `names` are the units' [E, U].
    """
    allies, enemies = slice(None, n_agents), slice(n_agents, None)
    for side, other in ((allies, enemies), (enemies, allies)):
        hp_before, hp_after = (units["health"][:, side] + units["shield"][:, side] for units in (before, after))
        dealt = (after["dealt"] - before["dealt"])[:, other].sum(1)
        gained = dealt - (hp_before - hp_after).sum(1)
        # A Baneling that attacks gives up what it has left.
        kinds = names[:, side]
        given_up = (hp_before * (hp_after == 0) * (kinds == "Baneling")).sum(1)
        flesh = np.isin(kinds, ("Zergling", "Baneling", "Hydralisk", "SpineCrawler")).sum(1) * GAIN["flesh"]
        shields = np.isin(kinds, ("Zealot", "Stalker", "Colossus")).sum(1) * GAIN["shield"]
        most = flesh + shields + (kinds == "Medivac").sum(1) * GAIN["healing"]
        assert (gained >= -given_up - 1e-6).all()
        assert (gained <= most + 1e-6).all()


@pytest.mark.parametrize("map_name", ["3m", "5m_vs_6m", "25m"])
def test_where_nothing_recovers_the_return_is_what_was_taken(map_name: str) -> None:
    battles, rng = create(map_name, 64), np.random.default_rng(0)
    battles.reset(np.ones(64, bool), np.arange(64, dtype=np.uint64))
    units, n_agents = battles.units, battles.spec.n_agents
    paid, won = np.zeros(64), np.zeros(64, bool)
    for _ in range(battles.spec.episode_limit):
        result = battles.step(POLICIES["focus"](battles, battles.observe(), rng))
        paid += result.reward
        won |= result.won
    dead = (units["health"][:, n_agents:] == 0).sum(1)
    taken = units["dealt"][:, :n_agents].sum(1) + 10 * dead + 200 * won
    n_enemies = units.shape[1] - n_agents
    np.testing.assert_allclose(paid, taken / ((45 + 10) * n_enemies + 200) * 20, rtol=1e-5)
    np.testing.assert_allclose(paid[won], 20, rtol=1e-5)


def test_spawns_are_crowds_around_their_points_and_differ_with_the_seed() -> None:
    for map_name in names():
        battles = create(map_name, 20)
        battles.reset(np.ones(20, bool), np.arange(20, dtype=np.uint64))
        roster = battles.facts.roster
        away = np.hypot(battles.units["x"] - roster["spawn_x"], battles.units["y"] - roster["spawn_y"])
        # A crowd of n needs a disc of n bodies; where walls leave half of it, or less, it is wider.
        room = roster["spacing"] * np.sqrt(max(battles.spec.n_agents, battles.facts.n_enemies))
        assert (away < np.maximum(1.0, 1.2 * room)).all()
        assert len(np.unique(battles.units["x"])) == battles.units.size
