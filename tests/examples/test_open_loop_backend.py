"""The example of a backend around another one: agents that see only the step number."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from envproxy.backend import Backend, create_backend
from envproxy.compliance import BackendCompliance
from envproxy.rules import SMAC_RULES

EXAMPLE = Path(__file__).parents[2] / "examples" / "open_loop_backend"
STOP = np.ones((2, 3), np.uint8)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.delitem(sys.modules, "open_loop_backend", raising=False)
    return importlib.import_module("open_loop_backend")


class TestOpenLoop(BackendCompliance):
    @pytest.fixture(params=["3m", "terran_5_vs_5"])
    def create(self, request: pytest.FixtureRequest, module: ModuleType) -> Callable[[int], Backend]:
        def made(battles: int) -> Backend:
            backend: Backend = module.create(request.param, battles, SMAC_RULES, "")
            return backend

        return made


def test_an_agent_sees_the_step_in_parts_of_the_limit_and_nothing_else(module: ModuleType) -> None:
    blind, seeing = module.create("3m", 2, SMAC_RULES, ""), create_backend("skirmish", "3m", 2)
    seeds = np.array([5, 6], np.uint64)
    for backend in (blind, seeing):
        backend.reset(np.array([True, True]), seeds)
    assert blind.spec.obs_size == 1
    for step in range(3):
        seen, expected = blind.observe(), seeing.observe()
        np.testing.assert_allclose(seen.obs, np.full((2, 3, 1), step / 60))
        np.testing.assert_array_equal(seen.available, expected.available)
        np.testing.assert_array_equal(seen.state, expected.state)
        np.testing.assert_array_equal(blind.step(STOP).reward, seeing.step(STOP).reward)
    blind.reset(np.array([True, False]), seeds)  # one battle begins again
    np.testing.assert_allclose(blind.observe().obs[:, 0, 0], [0, 3 / 60])
