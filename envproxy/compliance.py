"""Tests of the promises of `envproxy.backend.Backend`, for the author of any backend. Needs pytest.

A test module subclasses `BackendCompliance` and says how battles are made:

    class TestMine(BackendCompliance):
        @pytest.fixture(params=map_names("mine"))
        def create(self, request):
            return lambda battles: create_backend("mine", request.param, battles)

`RegistrationCompliance` tests how a backend is found by its name, and `SmacCompliance` adds what SMAC's rules promise
beyond the contract. docs/backends.md has a complete example.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import Backend, Observation, StepResult, create_backend, map_names, map_specs
from envproxy.options import OptionsError
from envproxy.protocol import ACTION_NO_OP, ACTION_STOP

try:
    import pytest
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("envproxy.compliance needs pytest: pip install pytest", name=missing.name) from None

Create: TypeAlias = Callable[[int], Backend]  # makes E battles, none of them started

SEED = 20240
_STEPS = 25  # of battles that are compared; shorter ones end before
_NO_ACTION = 255  # of no map


class BackendCompliance:
    """What every backend promises. A subclass has a fixture `create`, which may be parametrised over maps.

    Tests of battles that are functions of their seeds and actions are skipped where the backend is not `repeatable`.
    """

    @pytest.fixture
    def create(self) -> Create:
        """Return a function that makes E battles of one map. It is called several times within a test."""
        raise NotImplementedError("a subclass of BackendCompliance needs a fixture `create`")

    @pytest.fixture
    def battles_of(self, create: Create) -> Iterator[Create]:
        """Return `create`, whose battles are closed when the test ends."""
        made: list[Backend] = []

        def make(battles: int) -> Backend:
            made.append(create(battles))
            return made[-1]

        yield make
        for each in made:
            each.close()

    @pytest.fixture
    def repeatable_battles_of(self, battles_of: Create) -> Create:
        """Return `battles_of`, or skip the test of a backend that is not repeatable."""
        if not battles_of(1).repeatable:
            pytest.skip("the backend says that it is not repeatable")
        return battles_of

    def test_the_properties_have_the_types_of_the_contract(self, battles_of: Create) -> None:
        backend = battles_of(2)
        spec = backend.spec
        assert isinstance(spec.name, str), f"spec.name is {spec.name!r}, expected a text"
        assert spec.name, "spec.name is empty, expected the name of the map"
        for name in ("n_agents", "n_actions", "obs_size", "state_size", "episode_limit"):
            size = getattr(spec, name)
            assert isinstance(size, int), f"spec.{name} is {size!r}, expected an int"
            assert size > 0, f"spec.{name} is {size}, expected 1 or more"
        types = spec.unit_types
        assert isinstance(types, tuple), f"spec.unit_types is {types!r}, expected a tuple"
        assert all(isinstance(each, str) for each in types), f"spec.unit_types is {types!r}, expected texts"
        assert len(types) in (0, spec.n_agents), f"spec.unit_types has {len(types)}, expected none or one per seat"
        assert 2 <= spec.n_actions <= _NO_ACTION, f"spec.n_actions is {spec.n_actions}, expected 2..{_NO_ACTION}"
        assert backend.battles == 2, f"battles is {backend.battles}, expected the number that was asked for, 2"
        for name in ("repeatable", "quick"):
            assert isinstance(getattr(backend, name), bool), f"{name} is {getattr(backend, name)!r}, expected a bool"
        assert backend.restarts == 0, f"restarts is {backend.restarts} before anything was started, expected 0"
        for key, value in backend.provenance.items():
            assert isinstance(key, str), f"provenance has the key {key!r}, expected a text"
            assert isinstance(value, str), f"provenance[{key!r}] is {value!r}, expected a text"

    def test_arrays_have_the_shapes_and_types_of_the_spec(self, battles_of: Create) -> None:
        backend = battles_of(2)
        backend.prepare()
        spec = backend.spec
        seen = start(backend)
        expect_array("obs", seen.obs, np.float32, (2, spec.n_agents, spec.obs_size))
        expect_array("available", seen.available, np.bool_, (2, spec.n_agents, spec.n_actions))
        expect_array("state", seen.state, np.float32, (2, spec.state_size))
        result = backend.step(legal_actions(seen.available, np.random.default_rng(0)))
        expect_array("reward", result.reward, np.float32, (2,))
        for name in StepResult._fields[1:]:
            expect_array(name, getattr(result, name), np.bool_, (2,))

    def test_a_battle_never_reset_is_zeros_and_takes_any_action(self, battles_of: Create) -> None:
        backend = battles_of(2)
        backend.reset(np.array([False, True]), seeds_of(1, 2))
        actions = legal_actions(backend.observe().available, np.random.default_rng(0))
        actions[0] = _NO_ACTION
        result = backend.step(actions)
        for name, array in [*zip(result._fields, result, strict=True), *_named(backend.observe())]:
            assert not array[0].any(), f"{name} of a battle that was never reset is not zero"
        assert backend.observe().available[1].any(), "no action is available in the battle that was reset"

    def test_reset_starts_the_battles_of_the_mask_only(self, battles_of: Create) -> None:
        backend = battles_of(2)
        before = start(backend)
        backend.step(legal_actions(before.available, np.random.default_rng(0)))
        played = backend.observe()
        backend.reset(np.array([True, False]), seeds_of(SEED, 999))
        for name, first, then, now in zip(Observation._fields, before, played, backend.observe(), strict=True):
            if backend.repeatable:
                same(now[0], first[0], f"{name} of battle 0 after a second reset with its seed")
            same(now[1], then[1], f"{name} of battle 1, which the mask excluded")

    def test_arrays_belong_to_the_caller(self, battles_of: Create) -> None:
        backend = battles_of(1)
        seen = start(backend)
        result = backend.step(legal_actions(seen.available, np.random.default_rng(0)))
        arrays = [*_named(seen), *zip(result._fields, result, strict=True)]
        kept = [array.copy() for _, array in arrays]
        backend.step(legal_actions(backend.observe().available, np.random.default_rng(0)))
        for (name, array), before in zip(arrays, kept, strict=True):
            same(array, before, f"{name} of an earlier step after the next step")
            assert array.flags.writeable, f"{name} cannot be written to"

    def test_values_stay_in_range_until_every_battle_has_ended(self, battles_of: Create) -> None:
        backend = battles_of(6)
        limit = backend.spec.episode_limit
        seen = start(backend)
        rng = np.random.default_rng(SEED)
        on = everywhere(backend)
        for step in range(1, limit + 1):
            self.check_observation(seen)
            was_on = on.copy()
            result = backend.step(legal_actions(seen.available, rng))
            seen = backend.observe()
            self.check_result(result)
            assert not result.void.any(), f"step {step}: a battle is void"
            cut = np.flatnonzero(result.truncated)
            assert step == limit or not len(cut), f"step {step}: battle {cut} is cut before the limit of {limit} steps"
            on &= ~(result.terminated | result.truncated)
            for name, values in zip(result._fields, result, strict=True):
                assert not values[~was_on].any(), f"step {step}: {name} of a battle that was over is not zero"
        assert not on.any(), f"battles {np.flatnonzero(on)} are on after the limit of {limit} steps"

    def check_observation(self, seen: Observation) -> None:
        """Check what battles that were reset show, also after their last step."""
        obs, available, state = seen
        assert np.isfinite(obs).all(), "obs has a number that is not finite"
        assert np.abs(obs).max() <= 1.0, f"obs has numbers beyond -1..1: {obs.min():g} to {obs.max():g}"
        assert np.isfinite(state).all(), "state has a number that is not finite"
        fallen = available[..., ACTION_NO_OP]
        assert (available.sum(-1)[fallen] == 1).all(), "an agent that can take no-op (0) can take another action, too"
        assert available[..., ACTION_STOP][~fallen].all(), "an agent that cannot take no-op (0) cannot stop (1) either"

    def check_result(self, result: StepResult) -> None:
        """Check what one step gave, of all battles."""
        assert np.isfinite(result.reward).all(), "reward has a number that is not finite"
        assert not (result.terminated & result.truncated).any(), "a battle is terminated and truncated at once"
        assert not (result.won & ~result.terminated).any(), "a battle is won that is not terminated"

    def test_a_battle_that_is_over_stays_as_it_is(self, battles_of: Create) -> None:
        backend = battles_of(1)
        start(backend)
        play_out(backend)
        last = backend.observe()
        result = backend.step(np.full((1, backend.spec.n_agents), _NO_ACTION, np.uint8))
        assert not any(values.any() for values in result), "a step of a battle that is over gave something"
        for name, before, after in zip(Observation._fields, last, backend.observe(), strict=True):
            same(after, before, f"{name} of a battle that is over")
        start(backend)
        play_out(backend)

    def test_an_unavailable_action_names_battle_and_seat_and_plays_nothing(self, battles_of: Create) -> None:
        backend = battles_of(2)
        before = start(backend)
        actions = legal_actions(before.available, np.random.default_rng(0))
        seat = backend.spec.n_agents - 1
        for forbidden in [*np.flatnonzero(~before.available[1, seat]), backend.spec.n_actions]:
            actions[1, seat] = forbidden
            with pytest.raises(ValueError, match=rf"battle 1\b.*seat {seat}\b"):
                backend.step(actions)
        for name, was, now in zip(Observation._fields, before, backend.observe(), strict=True):
            same(now, was, f"{name} after a step that was refused")

    def test_arrays_of_a_wrong_shape_are_refused(self, battles_of: Create) -> None:
        backend = battles_of(2)
        start(backend)
        for wrong in ((2, backend.spec.n_agents + 1), (1, backend.spec.n_agents)):
            with pytest.raises(ValueError, match="actions"):
                backend.step(np.ones(wrong, np.uint8))
        with pytest.raises(ValueError, match="mask"):
            backend.reset(np.ones(3, np.bool_), seeds_of(1, 2))
        with pytest.raises(ValueError, match="seeds"):
            backend.reset(everywhere(backend), seeds_of(1, 2, 3))

    def test_close_may_be_called_twice(self, battles_of: Create) -> None:
        for begun in (False, True):
            backend = battles_of(1)
            if begun:
                start(backend)
            backend.close()
            backend.close()

    def test_a_battle_is_a_function_of_its_seed_and_actions(self, repeatable_battles_of: Create) -> None:
        alone, among = repeatable_battles_of(1), repeatable_battles_of(3)
        start(alone)
        expected = play_out(alone)
        start(alone, seed=5)
        play_out(alone, seed=6)  # another battle in the same slot
        start(alone)
        same_history(play_out(alone), expected, "after another battle in its slot")
        among.reset(np.array([False, True, True]), seeds_of(0, 3, SEED))
        among.step(legal_actions(among.observe().available, np.random.default_rng(1)))  # neighbours of another age
        among.reset(np.array([True, False, False]), seeds_of(SEED, 0, 0))
        same_history(play_out(among), expected, "among other battles")

    def test_a_battle_is_the_same_in_every_slot(self, repeatable_battles_of: Create) -> None:
        order = np.array([2, 0, 3, 1])
        one, other = repeatable_battles_of(4), repeatable_battles_of(4)
        seeds = seeds_of(SEED, SEED + 1, SEED + 2, SEED)  # two of them are equal
        one.reset(everywhere(one), seeds)
        other.reset(everywhere(other), seeds[order])
        rng = np.random.default_rng(0)
        for _ in range(_STEPS):
            actions = legal_actions(one.observe().available, rng)
            actions[3] = actions[0]
            results, others = (*one.step(actions), *one.observe()), (*other.step(actions[order]), *other.observe())
            for name, values, moved in zip((*StepResult._fields, *Observation._fields), results, others, strict=True):
                same(moved, values[order], f"{name} of battles in other slots")
                same(values[3], values[0], f"{name} of two battles with one seed and the same actions")

    def test_battles_are_the_same_in_any_number_of_threads(self, repeatable_battles_of: Create) -> None:
        def end_of(seed: int) -> list[bytes]:
            backend, rng = repeatable_battles_of(4), np.random.default_rng(seed)
            start(backend, seed)
            for _ in range(_STEPS):
                result = backend.step(legal_actions(backend.observe().available, rng))
            return [array.tobytes() for array in (*result, *backend.observe())]

        alone = [end_of(seed) for seed in range(4)]
        for threads in (2, 4):
            with ThreadPoolExecutor(threads) as pool:
                assert list(pool.map(end_of, range(4))) == alone, f"battles in {threads} threads differ"

    def test_a_copy_continues_the_battles_by_itself(self, repeatable_battles_of: Create) -> None:
        backend = repeatable_battles_of(1)
        start(backend)
        backend.step(legal_actions(backend.observe().available, np.random.default_rng(0)))
        copies = (copy.deepcopy(backend), pickle.loads(pickle.dumps(backend)))
        expected = play_out(backend)
        for how, each in zip(("deepcopy", "pickle"), copies, strict=True):
            same_history(play_out(each), expected, f"of a copy made by {how}")


class SmacCompliance(BackendCompliance):
    """What SMAC's default rules promise beyond the contract, for a backend that plays its maps."""

    def check_observation(self, seen: Observation) -> None:
        super().check_observation(seen)
        fallen = seen.available[..., ACTION_NO_OP]
        assert not seen.obs[fallen].any(), "an agent that has fallen sees something"
        assert seen.obs[~fallen].any(-1).all(), "an agent that lives sees nothing"
        # a Colossus cools down for up to 37.2 loops, of SMAC's 24
        assert np.abs(seen.state).max() <= 1.6, f"state has numbers beyond 1.6: {np.abs(seen.state).max():g}"

    def check_result(self, result: StepResult) -> None:
        super().check_result(result)
        assert (result.reward >= 0).all(), "a reward is negative"

    def test_a_victory_brings_most_of_twenty_and_a_defeat_not_more(self, battles_of: Create) -> None:
        backend = battles_of(6)
        seen = start(backend)
        rng, total = np.random.default_rng(SEED), np.zeros(6)
        for _ in range(backend.spec.episode_limit):
            result = backend.step(legal_actions(seen.available, rng))
            seen = backend.observe()
            total += result.reward
            assert not (result.won & (total < 15)).any(), f"a victory brought {total[result.won]}"
            lost = result.terminated & ~result.won
            assert not (lost & (total > 20)).any(), f"a defeat brought {total[lost]}"

    def test_a_reset_changes_the_state(self, battles_of: Create) -> None:
        backend = battles_of(1)
        before = start(backend)
        backend.step(legal_actions(before.available, np.random.default_rng(0)))
        moved = backend.observe()
        assert (start(backend).state != moved.state).any(), "the state after a reset is the state before it"

    def test_other_seeds_are_other_battles(self, battles_of: Create) -> None:
        seen = start(battles_of(2))
        assert (seen.state[0] != seen.state[1]).any(), "two battles with different seeds begin with the same state"


class RegistrationCompliance:
    """What a registered backend promises when it is found by its name. A subclass has a fixture `backend`."""

    @pytest.fixture
    def backend(self) -> str:
        """Return the name that the entry point has, which `--backend` takes."""
        raise NotImplementedError("a subclass of RegistrationCompliance needs a fixture `backend`")

    def test_its_maps_have_names_of_their_own(self, backend: str) -> None:
        names = map_names(backend)
        assert names, "map_names() is empty"
        assert len(set(names)) == len(names), f"map_names() names a map twice: {names}"
        assert [spec.name for spec in map_specs(backend)] == names, "spec.name is not the name of the map"

    def test_options_that_it_does_not_have_are_refused(self, backend: str) -> None:
        with pytest.raises(OptionsError, match="backend-options"):
            create_backend(backend, map_names(backend)[0], 1, options="no-such-option=1")


def seeds_of(*seeds: int) -> NDArray[np.uint64]:
    """Return seeds [E] as `Backend.reset` takes them."""
    return np.array(seeds, np.uint64)


def everywhere(backend: Backend) -> NDArray[np.bool_]:
    """Return the mask [E] of all battles."""
    return np.ones(backend.battles, np.bool_)


def start(backend: Backend, seed: int = SEED) -> Observation:
    """Start all battles, with the seeds `seed`, `seed` + 1, ..., and return what they show."""
    backend.reset(everywhere(backend), seeds_of(*range(seed, seed + backend.battles)))
    return backend.observe()


def legal_actions(available: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw an available action [E, N] for every seat, and 0 where none is."""
    drawn: NDArray[np.uint8] = (rng.random(available.shape) * available).argmax(-1).astype(np.uint8)
    return drawn


History: TypeAlias = list[dict[str, NDArray[np.generic]]]  # a battle's arrays by name, for every step


def play_out(backend: Backend, seed: int = SEED) -> History:
    """Play battle 0 to its end with available actions that depend on `seed` alone; return all that it showed."""
    rng = np.random.default_rng(seed)
    history: History = []
    for step in range(backend.spec.episode_limit):
        available = backend.observe().available
        actions = legal_actions(available, np.random.default_rng(seed + step))
        actions[0] = legal_actions(available[:1], rng)[0]
        result = backend.step(actions)
        shown = [*_named(backend.observe()), *zip(result._fields, result, strict=True)]
        history.append({name: array[0] for name, array in shown})
        if result.terminated[0] or result.truncated[0]:
            return history
    raise AssertionError(f"battle 0 is on after the limit of {backend.spec.episode_limit} steps")


def expect_array(name: str, array: NDArray[np.generic], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    """Fail unless an array has this type and shape."""
    found, expected = (array.shape, array.dtype), (shape, np.dtype(dtype))
    assert found == expected, f"{name} is {array.dtype} {list(array.shape)}, expected {expected[1]} {list(shape)}"


def same(array: NDArray[np.generic], other: NDArray[np.generic], what: str) -> None:
    """Fail unless two arrays are equal."""
    np.testing.assert_array_equal(array, other, err_msg=f"{what} differs")


def same_history(history: History, expected: History, when: str) -> None:
    """Fail unless two battles showed the same."""
    assert len(history) == len(expected), f"a battle {when} has {len(history)} steps, expected {len(expected)}"
    for step, (found, wanted) in enumerate(zip(history, expected, strict=True), 1):
        for name, array in wanted.items():
            same(found[name], array, f"step {step}: {name} of a battle {when}")


def _named(seen: Observation) -> list[tuple[str, NDArray[np.generic]]]:
    return list(zip(seen._fields, seen, strict=True))
