"""open-loop: battles of skirmish whose agents see only the step number. An example of a backend around another one.

A team that wins here wins by a fixed sequence of actions. SMACv2 was made because SMAC's maps can be won so (Ellis et
al., NeurIPS 2023). Available actions, state, and reward are those of skirmish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import Observation, StepResult, create_backend
from envproxy.backend import map_names as names_of
from envproxy.rules import Rules

INNER = "skirmish"


def map_names() -> list[str]:
    """Return the names of the maps: those of skirmish."""
    return names_of(INNER)


def create(map_name: str, battles: int, rules: Rules, options: str) -> OpenLoop:
    """Return `battles` battles of a map, none started. Raises OptionsError (RulesError) where skirmish does."""
    return OpenLoop(map_name, battles, rules, options)


class OpenLoop:
    """E battles of one map. An observation is one number: the step, in parts of the step limit."""

    def __init__(self, map_name: str, battles: int, rules: Rules, options: str) -> None:
        self._inner = create_backend(INNER, map_name, battles, rules, options)
        self.spec = replace(self._inner.spec, obs_size=1)
        self.battles = battles
        self.repeatable = self._inner.repeatable
        self.quick = self._inner.quick
        self.restarts = 0  # no process can fail
        self.provenance: Mapping[str, str] = {**self._inner.provenance, "open-loop-backend": "1.0"}
        self._steps = np.zeros(battles, np.int64)
        self._on = np.zeros(battles, np.bool_)

    def prepare(self) -> None:
        """Look for what skirmish needs."""
        self._inner.prepare()

    def close(self) -> None:
        """Free what skirmish holds."""
        self._inner.close()

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        """Start a new battle where `mask` [E] is True, from its entry of `seeds` [E]."""
        self._inner.reset(mask, seeds)
        self._steps[mask] = 0
        self._on[mask] = True

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        """Play one step of `actions` [E, N]."""
        result = self._inner.step(actions)
        self._steps += self._on
        self._on &= ~(result.terminated | result.truncated)
        return result

    def observe(self) -> Observation:
        """Return what skirmish does, with the step number as the observation of each agent that can act."""
        seen = self._inner.observe()
        acts = ~seen.available[..., 0]  # a fallen agent sees zeros
        share = (self._steps / self.spec.episode_limit).astype(np.float32)
        return seen._replace(obs=(share[:, None] * acts)[..., None].astype(np.float32))
