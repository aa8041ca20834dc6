"""The compliance suite fails a backend that breaks a promise, and names what is wrong."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from envproxy.backend import Backend, MapSpec, Observation, StepResult
from envproxy.compliance import BackendCompliance, SmacCompliance
from envproxy.rules import SMAC_RULES

EXAMPLE = Path(__file__).parents[2] / "examples" / "grid_backend"


@pytest.fixture
def grid(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example of a backend, which keeps all promises."""
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.delitem(sys.modules, "grid_backend", raising=False)
    return importlib.import_module("grid_backend")


class Flawed:
    """A backend that keeps its promises but for what a subclass changes."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def observe(self) -> Observation:
        return self.inner.observe()

    def step(self, actions: Any) -> StepResult:
        return self.inner.step(actions)

    def reset(self, mask: Any, seeds: Any) -> None:
        self.inner.reset(mask, seeds)


class WrongType(Flawed):
    def observe(self) -> Observation:
        seen = super().observe()
        return seen._replace(obs=seen.obs.astype(np.float64))


class Unscaled(Flawed):
    def observe(self) -> Observation:
        seen = super().observe()
        return seen._replace(obs=seen.obs * 30)


class NotFinite(Flawed):
    def step(self, actions: Any) -> StepResult:
        result = super().step(actions)
        return result._replace(reward=np.where(result.terminated, np.nan, result.reward).astype(np.float32))


class PaysAfterTheEnd(Flawed):
    def step(self, actions: Any) -> StepResult:
        result = super().step(actions)
        return result._replace(reward=result.reward - np.float32(1))


class NoStop(Flawed):
    def observe(self) -> Observation:
        seen = super().observe()
        seen.available[:, :, 1] = False
        return seen


class WonInTheMiddle(Flawed):
    def step(self, actions: Any) -> StepResult:
        result = super().step(actions)
        return result._replace(won=~result.terminated)


class Endless(Flawed):
    def step(self, actions: Any) -> StepResult:
        result = super().step(actions)
        return result._replace(terminated=np.zeros_like(result.won), truncated=np.zeros_like(result.won))


class SharesItsArrays(Flawed):
    kept: Observation | None = None

    def observe(self) -> Observation:
        seen = super().observe()
        if self.kept is None:
            self.kept = seen
        for array, new in zip(self.kept, seen, strict=True):
            array[:] = new
        return self.kept


class Unseeded(Flawed):
    def reset(self, mask: Any, seeds: Any) -> None:
        super().reset(mask, np.random.default_rng().integers(2**63, size=len(seeds), dtype=np.uint64))


class TakesAnything(Flawed):
    def step(self, actions: Any) -> StepResult:
        try:
            return super().step(actions)
        except ValueError:
            return super().step(self.inner.observe().available.argmax(-1).astype(np.uint8))


class TooManyActions(Flawed):
    @property
    def spec(self) -> MapSpec:
        spec = self.inner.spec
        return MapSpec(spec.name, spec.n_agents, 256, spec.obs_size, spec.state_size, spec.episode_limit)


VALUES = BackendCompliance.test_values_stay_in_range_until_every_battle_has_ended


@pytest.mark.parametrize(
    ("flawed", "test", "said"),
    [
        (WrongType, BackendCompliance.test_arrays_have_the_shapes_and_types_of_the_spec, "obs is float64 .*float32"),
        (TooManyActions, BackendCompliance.test_the_properties_have_the_types_of_the_contract, "n_actions is 256"),
        (Unscaled, VALUES, "obs has numbers beyond -1..1"),
        (NotFinite, VALUES, "reward has a number that is not finite"),
        (PaysAfterTheEnd, VALUES, "reward of a battle that was over is not zero"),
        (NoStop, VALUES, r"an agent that cannot take no-op \(0\) cannot stop \(1\) either"),
        (WonInTheMiddle, VALUES, "a battle is won that is not terminated"),
        (Endless, VALUES, "are on after the limit of 40 steps"),
        (SharesItsArrays, BackendCompliance.test_arrays_belong_to_the_caller, "of an earlier step after the next"),
        (
            Unseeded,
            BackendCompliance.test_a_battle_is_a_function_of_its_seed_and_actions,
            "after another battle in its slot",
        ),
        (
            TakesAnything,
            BackendCompliance.test_an_unavailable_action_names_battle_and_seat_and_plays_nothing,
            "DID NOT RAISE",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_promise_is_found(
    grid: ModuleType, flawed: type[Flawed], test: Callable[..., None], said: str
) -> None:
    def create(battles: int) -> Backend:
        return flawed(grid.create("crossing", battles, SMAC_RULES, ""))

    with pytest.raises((AssertionError, pytest.fail.Exception), match=said):
        test(BackendCompliance(), create)


def test_smacs_rules_promise_more(grid: ModuleType) -> None:
    def create(battles: int) -> Backend:
        made: Backend = grid.create("crossing", battles, SMAC_RULES, "")
        return made

    VALUES(BackendCompliance(), create)
    with pytest.raises(AssertionError, match="a reward is negative"):
        VALUES(SmacCompliance(), create)
