"""The PettingZoo environment: PettingZoo's own tests, and what they do not look at."""

import copy
import importlib
import multiprocessing
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.utils import BaseParallelWrapper, parallel_to_aec

from envproxy.backend import UnknownNameError, create_backend
from envproxy.parallel_env import BattleEnv, parallel_env
from envproxy.rules import SMAC_RULES, Rules
from tests.envproxy.drill import LIMIT, SALUTE, Drill
from tests.waiting import WAIT_LIMIT

MAPS = ["3m", "2s3z", "MMM", "2c_vs_64zg", "terran_10_vs_11"]
PAGE = Path(__file__).parents[2] / "docs" / "pettingzoo.md"


class Lenient(BaseParallelWrapper[str, NDArray[np.float32], np.int64]):
    """Lets an unavailable action be the first available one: PettingZoo's parallel tests look at no masks."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        seen, self.infos = super().reset(seed, options)
        return seen, self.infos

    def step(self, actions: dict[str, np.int64]) -> Any:
        masks = {agent: self.infos[agent]["action_mask"] for agent in actions}
        legal = {a: action if masks[a][action] else masks[a].argmax() for a, action in actions.items()}
        *rest, self.infos = super().step(legal)
        return *rest, self.infos


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Observation numpy array is all zeros")  # so the fallen see, in SMAC
        yield


def played_out(env: BattleEnv, seed: int | None) -> list[Any]:
    """Play one battle with actions drawn alike; return all that it showed."""
    rng = np.random.default_rng(3)
    seen, infos = env.reset(seed)
    history: list[Any] = [seen, infos, env.state()]
    while env.agents:
        actions = {agent: rng.choice(np.flatnonzero(infos[agent]["action_mask"])) for agent in env.agents}
        seen, rewards, terminations, truncations, infos = env.step(actions)
        history += [seen, rewards, terminations, truncations, infos, env.state()]
    return history


def same(one: list[Any], other: list[Any]) -> bool:
    try:
        np.testing.assert_equal(one, other)
    except AssertionError:
        return False
    return True


def in_turns(map_name: str) -> Any:
    """The environment as one whose agents act one after the other."""
    return parallel_to_aec(cast(Any, parallel_env(map_name)))  # it wants actions that may be None


@pytest.mark.parametrize("map_name", MAPS)
def test_pettingzoos_own_tests_pass(map_name: str) -> None:
    parallel_api_test(Lenient(parallel_env(map_name)), num_cycles=30)
    parallel_seed_test(lambda: Lenient(parallel_env(map_name)), num_cycles=10)  # type: ignore[no-untyped-call]
    # these two use the masks
    api_test(in_turns(map_name), num_cycles=30)  # type: ignore[no-untyped-call]
    seed_test(lambda: in_turns(map_name), num_cycles=10)  # type: ignore[no-untyped-call]


def test_a_whole_battle_of_pettingzoos_own_test() -> None:
    parallel_api_test(Lenient(parallel_env("3m")))


@pytest.mark.parametrize("map_name", MAPS)
def test_pettingzoos_parallel_test_takes_the_bare_environment_with_masked_observations(map_name: str) -> None:
    env = parallel_env(map_name, masked_observations=True)
    parallel_api_test(env, num_cycles=100)
    plain, infos = parallel_env(map_name).reset(seed=1)
    seen, masked_infos = env.reset(seed=1)
    np.testing.assert_equal(masked_infos, infos)
    for agent in env.possible_agents:
        assert env.observation_space(agent).contains(seen[agent])
        assert seen[agent].keys() == {"observation", "action_mask"}
        np.testing.assert_array_equal(seen[agent]["observation"], plain[agent])
        np.testing.assert_array_equal(seen[agent]["action_mask"], infos[agent]["action_mask"])


@pytest.mark.parametrize("map_name", MAPS)
def test_everything_lies_in_its_space(map_name: str) -> None:
    env = parallel_env(map_name)
    spec = create_backend("skirmish", map_name, 1).spec
    assert env.possible_agents == [f"seat_{seat}" for seat in range(spec.n_agents)]
    assert env.agents == []
    seen, infos = env.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(20):
        if not env.agents:
            break
        assert env.agents == env.possible_agents == list(seen) == list(infos)
        for agent in env.agents:
            assert env.observation_space(agent).contains(seen[agent])
            mask = infos[agent]["action_mask"]
            assert (mask.shape, mask.dtype) == ((spec.n_actions,), np.int8)
            assert mask[env.action_space(agent).sample(mask)] == 1
        assert env.state_space.contains(env.state())
        actions = {agent: rng.choice(np.flatnonzero(infos[agent]["action_mask"])) for agent in env.agents}
        seen, *_, infos = env.step(actions)


def test_the_same_seed_is_the_same_battle_and_those_that_follow() -> None:
    one, other = parallel_env("2s3z"), parallel_env("2s3z")
    first, second, third = (played_out(one, seed) for seed in (5, None, None))
    assert not same(first, second)
    assert not same(second, third)
    played_out(other, None)  # of no seed
    assert same(played_out(other, 5), first)
    assert same(played_out(other, None), second)
    assert same(played_out(other, None), third)
    assert not same(played_out(other, 6), first)


def test_rules_are_the_backends() -> None:
    plain, sparse = (parallel_env("3m", rules=rules) for rules in (SMAC_RULES, Rules(obs_last_action=True)))
    sizes = [env.observation_space("seat_0").shape for env in (plain, sparse)]
    assert sizes == [(30,), (30 + 2 * 9,)]
    assert sparse.reset(seed=1)[0]["seat_0"].shape == (48,)


def test_without_a_seed_no_two_environments_are_alike() -> None:
    assert not same(played_out(parallel_env("3m"), None), played_out(parallel_env("3m"), None))


def pickled(env: BattleEnv) -> BattleEnv:
    twin: BattleEnv = pickle.loads(pickle.dumps(env))
    return twin


COPIES: list[Callable[[BattleEnv], BattleEnv]] = [pickled, copy.deepcopy, copy.copy]
copies = pytest.mark.parametrize("copied", COPIES, ids=["pickle", "deepcopy", "copy"])


@copies
@pytest.mark.parametrize("played", [0, 1, 2])
def test_copies_that_were_never_seeded_play_battles_of_their_own(
    copied: Callable[[BattleEnv], BattleEnv], played: int
) -> None:
    env = parallel_env("3m")
    for _ in range(played):
        env.reset()
    histories = [played_out(one, None) for one in (env, copied(env), copied(env))]
    assert not any(same(histories[one], histories[other]) for one, other in ((0, 1), (0, 2), (1, 2)))


@copies
def test_copies_of_a_seeded_environment_continue_its_seeds(copied: Callable[[BattleEnv], BattleEnv]) -> None:
    env, reference = parallel_env("2s3z"), parallel_env("2s3z")
    expected = [played_out(reference, seed) for seed in (5, None, None)]
    played_out(env, 5)
    twin = copied(env)
    for one in (twin, env):
        assert same(played_out(one, None), expected[1])
        assert same(played_out(one, None), expected[2])


@copies
def test_a_copy_in_mid_battle_is_independent(copied: Callable[[BattleEnv], BattleEnv]) -> None:
    env, rng = parallel_env("MMM"), np.random.default_rng(3)
    _, infos = env.reset(seed=1)
    for _ in range(5):
        *_, infos = env.step({a: rng.choice(np.flatnonzero(infos[a]["action_mask"])) for a in env.agents})
    twin, before = copied(env), env.state()
    actions = {agent: np.flatnonzero(infos[agent]["action_mask"])[-1] for agent in env.agents}
    stepped = twin.step(actions)
    np.testing.assert_array_equal(env.state(), before)
    np.testing.assert_equal(env.step(actions), stepped)
    np.testing.assert_array_equal(env.state(), twin.state())


def state_after_reset(env: BattleEnv) -> Any:
    env.reset()
    return env.state()


def in_forks(env: BattleEnv, work: Callable[[BattleEnv], Any], forks: int = 2) -> list[Any]:
    """Do `work` in forked processes, each of which has the environment as it is here; return the results."""
    forked.append(env)
    try:
        pools = [ProcessPoolExecutor(1, multiprocessing.get_context("fork")) for _ in range(forks)]
        results = [pool.submit(with_forked, work) for pool in pools]
        try:
            return [result.result(timeout=WAIT_LIMIT) for result in results]
        finally:
            for pool in pools:
                pool.shutdown()
    finally:
        forked.clear()


forked: list[BattleEnv] = []  # what a fork finds


def with_forked(work: Callable[[BattleEnv], Any]) -> Any:
    return work(forked[0])


@pytest.mark.parametrize("seed", [None, 5])
def test_forks_play_battles_of_their_own_unless_there_is_a_seed(seed: int | None) -> None:
    env = parallel_env("3m")
    env.reset(seed)
    one, other = in_forks(env, state_after_reset)
    assert (one.tolist() == other.tolist()) == (seed is not None)
    assert (state_after_reset(env).tolist() == one.tolist()) == (seed is not None)


class Games(Drill):
    """A backend that plays its battles elsewhere, as the backend smac does."""

    def __init__(self) -> None:
        super().__init__(1)
        self.repeatable = False


def said_by(env: BattleEnv) -> str:
    """What an environment says that cannot be used here; closing it does nothing then."""
    closed = env._backend.closed  # type: ignore[attr-defined]
    env.close()
    assert env._backend.closed == closed  # type: ignore[attr-defined]
    said = []
    for use in (env.reset, lambda: env.step(dict.fromkeys(env.possible_agents, np.int64(1)))):
        with pytest.raises(RuntimeError) as refused:
            use()
        said.append(str(refused.value))
    assert said[0] == said[1]
    return said[0]


@copies
def test_a_backend_that_cannot_be_copied_says_so(copied: Callable[[BattleEnv], BattleEnv]) -> None:
    for env, name in (
        (BattleEnv(Games()), "drill on Games"),
        (parallel_env("3m", backend="smac"), "3m on SmacBattles"),
    ):
        with pytest.raises(TypeError, match=rf"^an environment of {name} cannot be copied: .*call parallel_env\(\)"):
            copied(env)
        env.close()


def test_a_fork_cannot_play_on_with_games_that_its_parent_began() -> None:
    env = BattleEnv(Games())
    assert in_forks(env, state_after_reset, 1) == [[0.0]], "none has begun: they will be the fork's own"
    env.reset()
    (said,) = in_forks(env, said_by, 1)
    assert re.match(r"an environment of drill on Games cannot be used in a fork of process \d+: its battles are", said)
    env.step(dict.fromkeys(env.possible_agents, np.int64(1)))
    env.close()


def drilled(length: int) -> BattleEnv:
    """Return a battle that lasts so many steps: won if even, lost if odd, cut if of LIMIT steps."""
    return BattleEnv(Drill(1, length_of=lambda _: length))


def drill_step(env: BattleEnv, *actions: int) -> Any:
    return env.step({agent: np.int64(action) for agent, action in zip(env.agents, actions, strict=True)})


def test_the_reward_is_the_teams_and_the_end_says_who_won() -> None:
    for length, outcome in ((2, (True, False, True)), (1, (True, False, False)), (LIMIT, (False, True, False))):
        env = drilled(length)
        env.reset()
        for step in range(1, length + 1):
            first = 1 if step == 1 else 0  # seat 0 falls after the first step
            _, rewards, terminations, truncations, infos = drill_step(env, first, 1, SALUTE)
            assert rewards == dict.fromkeys(env.possible_agents, first + 3.0)
            if step < length:
                assert env.agents == env.possible_agents, "the fallen stay"
                assert list(infos["seat_0"]["action_mask"]) == [1, 0, 0]
                assert not any("battle_won" in info for info in infos.values())
                assert not any(terminations.values())
                assert not any(truncations.values())
        for agent in env.possible_agents:
            assert (terminations[agent], truncations[agent], infos[agent]["battle_won"]) == outcome
        assert env.agents == []


def test_an_unavailable_action_names_the_agent_and_plays_nothing() -> None:
    env = parallel_env("3m")
    env.reset(seed=1)
    before = env.state()
    for forbidden in (0, 6, 9, -1, 256, 2**40):
        with pytest.raises(
            ValueError, match=rf"seat_1: action {forbidden} is not available; available: 1, 2, 3, 4, 5$"
        ):
            drill_step(env, 1, forbidden, 1)
    np.testing.assert_array_equal(env.state(), before)


def test_every_agent_must_act_and_no_other() -> None:
    env = parallel_env("3m")
    with pytest.raises(ResetNeeded, match="reset"):
        env.step({})
    env.reset(seed=1)
    stop = dict.fromkeys(env.agents, np.int64(1))
    every = "expected one of each of seat_0, seat_1, seat_2$"
    with pytest.raises(ValueError, match=f"^no action of seat_0, seat_1, seat_2; {every}"):
        env.step({})
    with pytest.raises(ValueError, match=f"^no action of seat_1; {every}"):
        env.step({"seat_0": np.int64(1), "seat_2": np.int64(1)})
    with pytest.raises(ValueError, match=f"^an action of seat_3, 7, which does not play; {every}"):
        env.step({**stop, "seat_3": np.int64(1), 7: np.int64(1)})  # type: ignore[dict-item]
    for actions, found in (
        ([1, 1, 1], r"\[1, 1, 1\] \(list\)"),
        (np.ones(3, np.int64), r"an array of int64 \[3\]"),
        (None, "None"),
        (1, r"1 \(int\)"),
    ):
        with pytest.raises(ValueError, match=f"^actions: expected a dict, found {found}; {every}"):
            env.step(actions)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "found"),
    [
        (np.array([1, 1]), "an array of shape (2,) and type int64"),
        (np.array([1]), "an array of shape (1,) and type int64"),
        (np.ones((1, 3), np.float32), "an array of shape (1, 3) and type float32"),
        (np.array(1.0), "an array of shape () and type float64"),
        (np.array([], np.int64), "an array of shape (0,) and type int64"),
        (torch.tensor([1]), "tensor([1]) (Tensor) of shape (1,)"),
        (torch.tensor(1.0), "tensor(1.) (Tensor)"),
        ([1], "a list of 1"),
        ((1, 2), "a tuple of 2"),
        (float("nan"), "nan (float)"),
        (1.0, "1.0 (float)"),
        (np.float32(1), "np.float32(1.0) (float32)"),
        (True, "True (bool)"),
        (np.True_, "np.True_ (bool)"),
        ("1", "'1' (str)"),
        (None, "None"),
        ({"action": 1}, "{'action': 1} (dict)"),
    ],
    ids=str,
)
def test_an_action_that_is_not_one_whole_number_names_agent_and_shape(action: Any, found: str) -> None:
    env = parallel_env("3m")
    env.reset(seed=1)
    before = env.state()
    with pytest.raises(ValueError, match=r"^seat_1: ") as refused:
        env.step({"seat_0": np.int64(1), "seat_1": action, "seat_2": np.int64(1)})
    expected = f"seat_1: expected one whole number of shape (), found {found}; available: 1, 2, 3, 4, 5"
    assert str(refused.value) == expected
    np.testing.assert_array_equal(env.state(), before)


@pytest.mark.parametrize("action", [1, np.int64(1), np.uint8(1), np.array(1), torch.tensor(1)], ids=repr)
def test_one_whole_number_may_be_of_any_type(action: Any) -> None:
    env = parallel_env("3m")
    env.reset(seed=1)
    expected = drill_step(copy.deepcopy(env), 1, 1, 1)
    np.testing.assert_equal(env.step(dict.fromkeys(env.agents, action)), expected)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", [1, 2], np.array([1])], ids=str)
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(ValueError, match=r"^seed: expected a whole number of at least 0, or None, found "):
        parallel_env("3m").reset(seed)


def test_what_was_returned_is_the_callers_to_keep() -> None:
    env = parallel_env("3m")
    seen, infos = env.reset(seed=1)
    for array in (*seen.values(), *(info["action_mask"] for info in infos.values()), env.state()):
        array[:] = 0
    _, *_, infos = drill_step(env, 1, 1, 1)
    assert env.state().any()
    assert infos["seat_0"]["action_mask"].any()


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="3m"):
        parallel_env("4m")
    with pytest.raises(UnknownNameError, match="skirmish"):
        parallel_env("3m", backend="chess")
    with pytest.raises(ValueError, match="render_mode must be None, not 'human'"):
        parallel_env("3m", render_mode="human")
    with pytest.raises(ValueError, match="an environment is one battle; the backend plays 2"):
        BattleEnv(Drill(2))
    for masked in ("false", 1, None):
        with pytest.raises(ValueError, match="masked_observations: expected True or False, found "):
            parallel_env("3m", masked_observations=masked)  # type: ignore[arg-type]
    for name in (None, ["3m"], np.array(["3m", "8m"])):
        with pytest.raises(UnknownNameError, match="has no map"):
            parallel_env(name)  # type: ignore[arg-type]
        with pytest.raises(UnknownNameError, match="unknown backend"):
            parallel_env("3m", backend=name)  # type: ignore[arg-type]


def test_close_closes_the_backend() -> None:
    drill = Drill(1)
    BattleEnv(drill).close()
    assert drill.closed == 1


@pytest.mark.parametrize("package", ["pettingzoo", "gymnasium"])
def test_without_the_extra_it_says_how_to_install_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "envproxy.parallel_env")
    with pytest.raises(ModuleNotFoundError, match=rf"needs {package}: pip install 'pps-qmix\[pettingzoo\]'$"):
        importlib.import_module("envproxy.parallel_env")


def test_the_examples_of_the_documentation_run(capsys: pytest.CaptureFixture[str]) -> None:
    whole, kept = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(whole, {})
    assert re.fullmatch(r"won: (True|False), return: \d+\.\d of 20\n", capsys.readouterr().out)
    exec(kept, {})
    stopped, went_east = capsys.readouterr().out.strip("[]\n").split()
    assert float(stopped) < float(went_east)
