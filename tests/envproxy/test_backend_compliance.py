"""What every backend owes an arena, whatever plays its battles: the promises of `envproxy.backend.Backend`."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from envproxy.backend import Backend, Observation, UnknownNameError, backend_names, create_backend, map_names
from tests.starcraft.host import ENVIRONMENT, SMAC, battle_host, needs_smac

ON_SMAC = ("3m", "2s3z", "MMM", "bane_vs_bane")  # of the maps that it has; each test starts games
SEED = 20240


def _param(backend: str, name: str, packages: object = None) -> object:
    marks = [needs_smac] if packages == SMAC and backend == "smac" else []
    label = f"{backend}-{name}" + ("-standin" if packages == ENVIRONMENT else "")
    return pytest.param((backend, name, packages), id=label, marks=marks)


REPEATABLE = [_param(name, each) for name in backend_names() if name != "smac" for each in map_names(name)]
ALL = [*REPEATABLE, _param("smac", "3m", ENVIRONMENT), *(_param("smac", name, SMAC) for name in ON_SMAC)]


@pytest.fixture(params=ALL)
def arena_of(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Backend]]:
    """Return how to make E battles of one map of one backend; they are closed in the end."""
    backend, name, packages = request.param
    made: list[Backend] = []

    def make(battles: int) -> Backend:
        made.append(create_backend(backend, name, battles))
        return made[-1]

    with contextlib.ExitStack() as stack:
        if packages is not None:
            stack.enter_context(battle_host(tmp_path, monkeypatch, packages=packages, maps=[name]))
        try:
            yield make
        finally:
            for each in made:
                each.close()


@pytest.fixture(params=REPEATABLE)
def repeatable_arena_of(request: pytest.FixtureRequest) -> Callable[[int], Backend]:
    """Return how to make E battles of one map of a backend whose battles are functions of their seeds and actions."""
    backend, name, _ = request.param
    return lambda battles: create_backend(backend, name, battles)


def test_a_backend_says_whether_it_is_repeatable() -> None:
    said = {name: create_backend(name, "3m", 1).repeatable for name in backend_names()}
    assert said == {"skirmish": True, "smac": False}


def seeds_of(*seeds: int) -> NDArray[np.uint64]:
    return np.array(seeds, np.uint64)


def everywhere(arena: Backend) -> NDArray[np.bool_]:
    return np.ones(arena.battles, np.bool_)


def start(arena: Backend, seed: int = SEED) -> Observation:
    """Begin all battles, each with a seed of its own, and return what is seen."""
    arena.reset(everywhere(arena), seeds_of(*range(seed, seed + arena.battles)))
    return arena.observe()


def legal(available: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw an available action [E, N] per seat, and 0 where there is none."""
    return (rng.random(available.shape) * available).argmax(-1).astype(np.uint8)


def play_out(arena: Backend, seed: int = SEED) -> list[tuple[NDArray[np.float32], ...]]:
    """Play battle 0 to its end with legal actions that depend on `seed` alone; return all that it showed."""
    rng = np.random.default_rng(seed)
    seen = arena.observe()
    history: list[tuple[NDArray[np.float32], ...]] = []
    while not history or not history[-1][-1]:
        actions = np.zeros(seen.available.shape[:2], np.uint8)
        actions[:] = legal(seen.available, np.random.default_rng(seed + len(history)))
        actions[0] = legal(seen.available[:1], rng)[0]
        result = arena.step(actions)
        seen = arena.observe()
        over = result.terminated[0] | result.truncated[0]
        history.append((*(field[0] for field in (*seen, *result)), over))
    return history


def assert_same(one: list[tuple[NDArray[np.float32], ...]], other: list[tuple[NDArray[np.float32], ...]]) -> None:
    assert len(one) == len(other)
    for row, other_row in zip(one, other, strict=True):
        for array, other_array in zip(row, other_row, strict=True):
            np.testing.assert_array_equal(array, other_array)


def test_shapes_and_types_follow_the_spec(arena_of: Callable[[int], Backend]) -> None:
    arena = arena_of(2)
    spec = arena.spec
    assert all(size > 0 for size in dataclasses.astuple(spec)[1:])
    assert arena.battles == 2
    seen = start(arena)
    assert (seen.obs.shape, seen.obs.dtype) == ((2, spec.n_agents, spec.obs_size), np.float32)
    assert (seen.available.shape, seen.available.dtype) == ((2, spec.n_agents, spec.n_actions), np.bool_)
    assert (seen.state.shape, seen.state.dtype) == ((2, spec.state_size), np.float32)
    result = arena.step(legal(seen.available, np.random.default_rng(0)))
    assert (result.reward.shape, result.reward.dtype) == ((2,), np.float32)
    for flags in result[1:]:
        assert (flags.shape, flags.dtype) == ((2,), np.bool_)


def test_a_battle_never_reset_is_zeros_and_takes_any_action(arena_of: Callable[[int], Backend]) -> None:
    arena = arena_of(2)
    arena.reset(np.array([False, True]), seeds_of(1, 2))
    actions = legal(arena.observe().available, np.random.default_rng(0))
    actions[0] = 255
    result = arena.step(actions)
    assert not any(field[0] for field in result)
    for array in arena.observe():
        assert not array[0].any()
        assert array[1].any()


def test_reset_starts_only_the_battles_of_the_mask(arena_of: Callable[[int], Backend]) -> None:
    arena = arena_of(2)
    before = start(arena)
    arena.step(legal(before.available, np.random.default_rng(0)))
    moved = arena.observe()
    arena.reset(np.array([True, False]), seeds_of(SEED, 999))
    after = arena.observe()
    for first, played, now in zip(before, moved, after, strict=True):
        if arena.repeatable:
            np.testing.assert_array_equal(now[0], first[0])
        np.testing.assert_array_equal(now[1], played[1])
    assert (after.state[0] != moved.state[0]).any()


def test_observations_are_the_callers_to_keep(arena_of: Callable[[int], Backend]) -> None:
    arena = arena_of(1)
    seen = start(arena)
    kept = [array.copy() for array in seen]
    result = arena.step(legal(seen.available, np.random.default_rng(0)))
    results = [array.copy() for array in result]
    arena.step(legal(arena.observe().available, np.random.default_rng(0)))
    for array, copy in zip((*seen, *result), (*kept, *results), strict=True):
        np.testing.assert_array_equal(array, copy)
        assert array.flags.writeable


def test_values_stay_in_range_until_every_battle_has_ended(arena_of: Callable[[int], Backend]) -> None:
    arena = arena_of(6)
    seen = start(arena)
    rng = np.random.default_rng(SEED)
    on = everywhere(arena)
    total = np.zeros(6)
    for step in range(1, arena.spec.episode_limit + 1):
        acts = seen.available.sum(-1)
        dead = seen.available[..., 0]
        assert (acts[dead] == 1).all(), "the dead can only take no-op"
        assert (acts[~dead] >= 1).all()
        assert seen.available[..., 1][~dead].all(), "who lives can stop"
        assert not seen.obs[dead].any()
        assert (seen.obs[~dead].any(-1)).all()
        assert np.abs(seen.obs).max() <= 1.0
        assert np.abs(seen.state).max() <= 1.6  # a Colossus cools down for up to 37.2 loops, of SMAC's 24
        result = arena.step(legal(seen.available, rng))
        seen = arena.observe()
        assert np.isfinite(result.reward).all()
        assert (result.reward >= 0).all()
        assert not (result.terminated & result.truncated).any()
        assert not (result.won & ~result.terminated).any()
        assert not result.truncated.any() or step == arena.spec.episode_limit
        total += result.reward
        assert not (result.won & (total < 15)).any(), "most of the 20 that a victory is worth has been paid"
        assert not (result.terminated & ~result.won & (total > 20)).any()
        on &= ~(result.terminated | result.truncated)
    assert not on.any()


def test_a_battle_is_a_function_of_its_seed_and_actions(repeatable_arena_of: Callable[[int], Backend]) -> None:
    alone, among = repeatable_arena_of(1), repeatable_arena_of(3)
    start(alone)
    expected = play_out(alone)
    start(alone, seed=5)
    play_out(alone, seed=6)  # another battle in the same slot
    start(alone)
    assert_same(play_out(alone), expected)
    among.reset(np.array([False, True, True]), seeds_of(0, 3, SEED))
    among.step(legal(among.observe().available, np.random.default_rng(1)))  # neighbours of another age
    among.reset(np.array([True, False, False]), seeds_of(SEED, 0, 0))
    assert_same(play_out(among), expected)


def test_another_slot_is_the_same_battle(repeatable_arena_of: Callable[[int], Backend]) -> None:
    arena = repeatable_arena_of(3)
    arena.reset(everywhere(arena), seeds_of(SEED, SEED + 1, SEED))
    rng = np.random.default_rng(0)
    for _ in range(10):
        seen = arena.observe()
        for array in seen:
            np.testing.assert_array_equal(array[0], array[2])
        actions = legal(seen.available, rng)
        actions[2] = actions[0]
        arena.step(actions)


def test_slots_in_another_order_are_the_same_battles(repeatable_arena_of: Callable[[int], Backend]) -> None:
    order = np.array([2, 0, 3, 1])
    one, other = repeatable_arena_of(4), repeatable_arena_of(4)
    seeds = seeds_of(*range(SEED, SEED + 4))
    one.reset(everywhere(one), seeds)
    other.reset(everywhere(other), seeds[order])
    rng = np.random.default_rng(0)
    for _ in range(25):
        actions = legal(one.observe().available, rng)
        results = (*one.step(actions), *one.observe())
        others = (*other.step(actions[order]), *other.observe())
        for array, permuted in zip(results, others, strict=True):
            np.testing.assert_array_equal(array[order], permuted)


def test_arenas_in_any_number_of_threads_play_as_they_play_alone(repeatable_arena_of: Callable[[int], Backend]) -> None:
    def end_of(seed: int) -> list[bytes]:
        arena, rng = repeatable_arena_of(4), np.random.default_rng(seed)
        start(arena, seed)
        for _ in range(25):
            result = arena.step(legal(arena.observe().available, rng))
        return [array.tobytes() for array in (*result, *arena.observe())]

    alone = [end_of(seed) for seed in range(4)]
    for threads in (2, 4):
        with ThreadPoolExecutor(threads) as pool:
            assert list(pool.map(end_of, range(4))) == alone


def test_other_seeds_are_other_battles(arena_of: Callable[[int], Backend]) -> None:
    seen = start(arena_of(2))
    assert (seen.state[0] != seen.state[1]).any()


def test_a_battle_that_is_over_stays_as_it_is(arena_of: Callable[[int], Backend]) -> None:
    arena = arena_of(1)
    start(arena)
    play_out(arena)
    last = arena.observe()
    result = arena.step(np.full((1, arena.spec.n_agents), 255, np.uint8))
    assert not any(field.any() for field in result)
    for before, after in zip(last, arena.observe(), strict=True):
        np.testing.assert_array_equal(before, after)
    start(arena)
    play_out(arena)


def test_an_unavailable_action_names_battle_and_seat_and_plays_nothing(
    arena_of: Callable[[int], Backend],
) -> None:
    arena = arena_of(2)
    before = start(arena)
    actions = np.ones((2, arena.spec.n_agents), np.uint8)
    for forbidden in (0, arena.spec.n_actions):  # no-op is for the dead; the other is no action at all
        actions[1, 1] = forbidden
        with pytest.raises(ValueError, match=r"battle 1\b.*seat 1\b"):
            arena.step(actions)
    for array, unchanged in zip(before, arena.observe(), strict=True):
        np.testing.assert_array_equal(array, unchanged)


def test_wrong_shapes_are_refused(arena_of: Callable[[int], Backend]) -> None:
    arena = arena_of(2)
    start(arena)
    with pytest.raises(ValueError, match="actions"):
        arena.step(np.ones((2, arena.spec.n_agents + 1), np.uint8))
    with pytest.raises(ValueError, match="actions"):
        arena.step(np.ones((1, arena.spec.n_agents), np.uint8))
    with pytest.raises(ValueError, match="mask"):
        arena.reset(np.ones(3, np.bool_), seeds_of(1, 2))
    with pytest.raises(ValueError, match="seeds"):
        arena.reset(everywhere(arena), seeds_of(1, 2, 3))


def test_close_twice(arena_of: Callable[[int], Backend]) -> None:
    arena = arena_of(1)
    start(arena)
    arena.close()
    arena.close()


def test_unknown_names_list_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="skirmish"):
        create_backend("chess", "3m", 1)
    with pytest.raises(UnknownNameError, match="3m"):
        create_backend("skirmish", "4m", 1)
