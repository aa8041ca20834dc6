"""The PettingZoo environment: PettingZoo's own tests, and what they do not look at."""

import importlib
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.utils import BaseParallelWrapper, parallel_to_aec

from envproxy.backend import UnknownNameError, create_backend
from envproxy.parallel_env import BattleEnv, parallel_env
from envproxy.rules import SMAC_RULES, Rules
from tests.envproxy.drill import LIMIT, SALUTE, Drill

MAPS = ["3m", "2s3z", "MMM", "2c_vs_64zg"]
README = Path(__file__).parents[2] / "README.md"


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


@pytest.mark.parametrize("map_name", MAPS)
def test_pettingzoos_own_tests_pass(map_name: str) -> None:
    parallel_api_test(Lenient(parallel_env(map_name)), num_cycles=30)
    parallel_seed_test(lambda: Lenient(parallel_env(map_name)), num_cycles=10)
    api_test(parallel_to_aec(parallel_env(map_name)), num_cycles=30)  # these two use the masks
    seed_test(lambda: parallel_to_aec(parallel_env(map_name)), num_cycles=10)


def test_a_whole_battle_of_pettingzoos_own_test() -> None:
    parallel_api_test(Lenient(parallel_env("3m")))


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
    for forbidden in (0, 6, 9, -1):
        with pytest.raises(
            ValueError, match=rf"seat_1: action {forbidden} is not available; available: 1, 2, 3, 4, 5$"
        ):
            drill_step(env, 1, forbidden, 1)
    np.testing.assert_array_equal(env.state(), before)


def test_every_agent_must_act_and_nobody_else() -> None:
    env = parallel_env("3m")
    with pytest.raises(ResetNeeded, match="reset"):
        env.step({})
    env.reset(seed=1)
    stop = dict.fromkeys(env.agents, np.int64(1))
    with pytest.raises(ValueError, match="actions of nobody; expected of seat_0, seat_1, seat_2"):
        env.step({})
    with pytest.raises(ValueError, match="actions of seat_0, seat_1, seat_2, seat_3; expected"):
        env.step({**stop, "seat_3": np.int64(1)})


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


def test_the_readmes_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    whole, kept = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(whole, {})
    assert re.fullmatch(r"won: (True|False), return: \d+\.\d of 20\n", capsys.readouterr().out)
    exec(kept, {})
    stopped, went_east = capsys.readouterr().out.strip("[]\n").split()
    assert float(stopped) < float(went_east)
