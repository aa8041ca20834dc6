"""A battle as a PettingZoo environment, for learners that bring their own loop. Needs the extra `pettingzoo`."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import Backend, create_backend
from envproxy.rules import SMAC_RULES, Rules

try:
    from gymnasium import Space
    from gymnasium.error import ResetNeeded
    from gymnasium.spaces import Box, Discrete
    from pettingzoo import ParallelEnv
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"envproxy.parallel_env needs {missing.name}: pip install 'pps-qmix[pettingzoo]'", name=missing.name
    ) from None

Seen: TypeAlias = NDArray[np.float32]  # [obs_size], what one seat sees
Infos: TypeAlias = dict[str, dict[str, Any]]


def parallel_env(
    map_name: str = "3m",
    *,
    backend: str = "skirmish",
    rules: Rules = SMAC_RULES,
    options: str = "",
    render_mode: str | None = None,
) -> BattleEnv:
    """Return one battle of a map, not started; `options` say how the backend runs here.

    Raises UnknownNameError, which lists what there is, OptionsError for rules or options that the backend lacks.
    """
    if render_mode is not None:
        raise ValueError(f"render_mode must be None, not {render_mode!r}: nothing is drawn here")
    return BattleEnv(create_backend(backend, map_name, 1, rules, options))


class BattleEnv(ParallelEnv[str, Seen, np.int64]):
    """One battle at a time; every agent holds a seat and gets the team's reward.

    `infos[agent]["action_mask"]` says which actions are available; others are refused. Who has fallen stays until the
    battle is over, and can only take no-op. The last infos carry `battle_won`.
    """

    def __init__(self, backend: Backend) -> None:
        """Play on a backend of one battle, which is this environment's to close."""
        if backend.battles != 1:
            raise ValueError(f"an environment is one battle; the backend plays {backend.battles}")
        self.metadata = {"name": f"pps_qmix_{backend.spec.name}", "render_modes": [], "is_parallelizable": True}
        self.render_mode: str | None = None
        self._backend = backend
        self._seeds = np.random.SeedSequence()
        self._seen = backend.observe()
        spec = backend.spec
        self.possible_agents = [f"seat_{seat}" for seat in range(spec.n_agents)]
        self.agents = []
        self.observation_spaces = {
            agent: Box(-1.0, 1.0, (spec.obs_size,), np.float32) for agent in self.possible_agents
        }
        self.action_spaces = {agent: Discrete(spec.n_actions) for agent in self.possible_agents}
        self.state_space = Box(-np.inf, np.inf, (spec.state_size,), np.float32)

    def observation_space(self, agent: str) -> Space[Seen]:
        """Return the space of what an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[np.int64]:
        """Return the space of an agent's actions; sample it with the agent's mask."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Seen], Infos]:
        """Begin the first battle of `seed` or, without one, the next battle of the last seed, at first a drawn one.

        No `options` are known.
        """
        if seed is not None:
            self._seeds = np.random.SeedSequence(seed)
        (of_battle,) = self._seeds.spawn(1)
        self._backend.reset(np.ones(1, np.bool_), np.asarray(of_battle.generate_state(1, np.uint64), np.uint64))
        self._seen = self._backend.observe()
        self.agents = self.possible_agents.copy()
        return self._observations(), self._infos()

    def step(
        self, actions: dict[str, np.int64]
    ) -> tuple[dict[str, Seen], dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """Play one step with an available action of every agent; ValueError names an agent without one."""
        result = self._backend.step(self._joint(actions)[None])
        self._seen = self._backend.observe()
        everyone = self.agents
        infos = self._infos()
        if result.terminated[0] or result.truncated[0]:
            self.agents = []
            for info in infos.values():
                info["battle_won"] = bool(result.won[0])
        return (
            self._observations(),
            dict.fromkeys(everyone, float(result.reward[0])),
            dict.fromkeys(everyone, bool(result.terminated[0])),
            dict.fromkeys(everyone, bool(result.truncated[0])),
            infos,
        )

    def state(self) -> NDArray[np.float32]:
        """Return the global state [state_size]."""
        return np.array(self._seen.state[0])

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()

    def _observations(self) -> dict[str, Seen]:
        return dict(zip(self.possible_agents, self._seen.obs[0].copy(), strict=True))

    def _infos(self) -> Infos:
        masks = self._seen.available[0].astype(np.int8)
        return {agent: {"action_mask": mask} for agent, mask in zip(self.possible_agents, masks, strict=True)}

    def _joint(self, actions: dict[str, np.int64]) -> NDArray[np.uint8]:
        """[N], the actions in the order of the seats."""
        if not self.agents:
            raise ResetNeeded("no battle is on: call reset() first")
        if set(actions) != set(self.agents):
            raise ValueError(f"actions of {', '.join(actions) or 'nobody'}; expected of {', '.join(self.agents)}")
        for agent, available in zip(self.agents, self._seen.available[0], strict=True):
            options = np.flatnonzero(available).tolist()
            if actions[agent] not in options:
                raise ValueError(
                    f"{agent}: action {actions[agent]} is not available; available: {', '.join(map(str, options))}"
                )
        return np.array([actions[agent] for agent in self.agents], np.uint8)
