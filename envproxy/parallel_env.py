"""A battle as a PettingZoo environment, for learners that bring their own loop. Needs the extra `pettingzoo`."""

from __future__ import annotations

import copy
import operator
import os
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import Backend, create_backend
from envproxy.options import shown
from envproxy.rules import SMAC_RULES, Rules

try:
    from gymnasium import Space
    from gymnasium.error import ResetNeeded
    from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
    from pettingzoo import ParallelEnv
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"envproxy.parallel_env needs {missing.name}: pip install 'pps-qmix[pettingzoo]'", name=missing.name
    ) from None

# [obs_size], what one seat sees; with `masked_observations`: {"observation": that, "action_mask": int8 [n_actions]}
Seen: TypeAlias = Any
Infos: TypeAlias = dict[str, dict[str, Any]]


def parallel_env(
    map_name: str = "3m",
    *,
    backend: str = "skirmish",
    rules: Rules = SMAC_RULES,
    options: str = "",
    render_mode: str | None = None,
    masked_observations: bool = False,
) -> BattleEnv:
    """Return one battle of a map, not started; `options` say how the backend runs here.

    `masked_observations` is as for BattleEnv. Raises UnknownNameError, which lists what there is, OptionsError for
    rules or options that are none or that the backend lacks, ValueError for another argument that is wrong.
    """
    if render_mode is not None:
        raise ValueError(f"render_mode must be None, not {render_mode!r}: nothing is drawn here")
    return BattleEnv(create_backend(backend, map_name, 1, rules, options), masked_observations=masked_observations)


class BattleEnv(ParallelEnv[str, Seen, np.int64]):
    """One battle at a time; every agent holds a seat and gets the team's reward.

    `infos[agent]["action_mask"]` says which actions are available; others are refused. Who has fallen stays until the
    battle is over, and can only take no-op. The last infos carry `battle_won`.

    A copy (pickle, copy, deepcopy, fork) continues the battle as it is. After `reset(seed)` both then play that seed's
    next battles; without a seed each draws its own. A backend that is not `repeatable` (smac) cannot be copied:
    TypeError, or RuntimeError in a fork of the process that has begun its battles.
    """

    def __init__(self, backend: Backend, *, masked_observations: bool = False) -> None:
        """Play on a backend of one battle, which is this environment's to close.

        `masked_observations`: an observation is a dict, `observation` [obs_size] and `action_mask` [n_actions], as
        learners and tests need that look for masks there. Raises ValueError for more battles than one.
        """
        if backend.battles != 1:
            raise ValueError(f"an environment is one battle; the backend plays {backend.battles}")
        if not isinstance(masked_observations, bool):
            raise ValueError(f"masked_observations: expected True or False, found {shown(masked_observations)}")
        self.metadata = {"name": f"pps_qmix_{backend.spec.name}", "render_modes": [], "is_parallelizable": True}
        self.render_mode: str | None = None
        self._backend = backend
        self._masked = masked_observations
        self._seeds: np.random.SeedSequence | None = None  # of the last `seed`; None: there was none
        self._began_in: int | None = None  # process id, if the backend's battles are bound to it
        self._seen = backend.observe()
        spec = backend.spec
        self.possible_agents = [f"seat_{seat}" for seat in range(spec.n_agents)]
        self.agents = []
        self.observation_spaces = {agent: self._observation_space() for agent in self.possible_agents}
        self.action_spaces = {agent: Discrete(spec.n_actions) for agent in self.possible_agents}
        self.state_space = Box(-np.inf, np.inf, (spec.state_size,), np.float32)

    def observation_space(self, agent: str) -> Space[Seen]:
        """Return the space of what an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[np.int64]:
        """Return the space of an agent's actions; sample it with the agent's mask."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Seen], Infos]:
        """Begin the first battle of `seed` or, without one, the next battle of the last seed; of none, a drawn one.

        `options` are ignored: none are known. Raises ValueError for a seed that is not a whole number of at least 0.
        """
        self._check_process()
        if seed is not None:
            self._seeds = np.random.SeedSequence(_whole_seed(seed))
        # Drawn here and not once: an environment and its copies have nothing in common but a seed that they were given.
        (of_battle,) = self._seeds.spawn(1) if self._seeds is not None else (np.random.SeedSequence(),)
        if not self._backend.repeatable:
            self._began_in = os.getpid()
        self._backend.reset(np.ones(1, np.bool_), np.asarray(of_battle.generate_state(1, np.uint64), np.uint64))
        self._seen = self._backend.observe()
        self.agents = self.possible_agents.copy()
        return self._observations(), self._infos()

    def step(
        self, actions: Mapping[str, np.int64]
    ) -> tuple[dict[str, Seen], dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """Play one step with an available action of every agent, a whole number each.

        Raises ResetNeeded if no battle is on, and ValueError if an action is missing, is not one whole number or is not
        available, naming the agent, what was found and its shape; then nothing has been played.
        """
        self._check_process()
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
        """Close the backend; in a fork of the process that has begun its battles do nothing, for they are not its."""
        if self._began_in in (None, os.getpid()):
            self._backend.close()

    def __copy__(self) -> Self:
        # A shallow copy would play the same battle from two places.
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        if not self._backend.repeatable:
            raise TypeError(f"{_whose(self._backend)} cannot be copied: {_HELD}")
        return self.__dict__.copy()

    def _check_process(self) -> None:
        """Raise RuntimeError in a fork of the process that holds the battles: both would speak to the same games."""
        if self._began_in not in (None, os.getpid()):
            raise RuntimeError(f"{_whose(self._backend)} cannot be used in a fork of process {self._began_in}: {_HELD}")

    def _observation_space(self) -> Space[Seen]:
        spec = self._backend.spec
        seen = Box(-1.0, 1.0, (spec.obs_size,), np.float32)
        return Dict({"observation": seen, "action_mask": MultiBinary(spec.n_actions)}) if self._masked else seen

    def _observations(self) -> dict[str, Seen]:
        seen = dict(zip(self.possible_agents, self._seen.obs[0].copy(), strict=True))
        if not self._masked:
            return seen
        masks = self._masks()
        return {agent: {"observation": seen[agent], "action_mask": masks[agent]} for agent in self.possible_agents}

    def _infos(self) -> Infos:
        return {agent: {"action_mask": mask} for agent, mask in self._masks().items()}

    def _masks(self) -> dict[str, NDArray[np.int8]]:
        return dict(zip(self.possible_agents, self._seen.available[0].astype(np.int8), strict=True))

    def _joint(self, actions: Mapping[str, np.int64]) -> NDArray[np.uint8]:
        """[N], the actions in the order of the seats."""
        if not self.agents:
            raise ResetNeeded("no battle is on: call reset() first")
        expected = f"expected one of each of {', '.join(self.agents)}"
        if not isinstance(actions, Mapping):
            raise ValueError(f"actions: expected a dict, found {shown(actions)}; {expected}")
        if missing := [agent for agent in self.agents if agent not in actions]:
            raise ValueError(f"no action of {', '.join(missing)}; {expected}")
        if unknown := [agent for agent in actions if agent not in self.agents]:
            raise ValueError(f"an action of {', '.join(map(str, unknown))}, which does not play; {expected}")
        return np.array(
            [
                _available_action(agent, actions[agent], available)
                for agent, available in zip(self.agents, self._seen.available[0], strict=True)
            ],
            np.uint8,
        )


_HELD = "its battles are played by processes; call parallel_env() in each process that plays, and for each copy"


def _whose(backend: Backend) -> str:
    return f"an environment of {backend.spec.name} on {type(backend).__name__}"


def _whole_seed(seed: object) -> int:
    """Raises ValueError."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or int(seed) < 0:
        raise ValueError(f"seed: expected a whole number of at least 0, or None, found {shown(seed)}")
    return int(seed)


def _available_action(agent: str, action: object, available: NDArray[np.bool_]) -> int:
    """Return an agent's action, one of `available` [n_actions]. Raises ValueError."""
    whole = _whole_action(action)
    options = np.flatnonzero(available).tolist()
    if whole is None:
        raise ValueError(
            f"{agent}: expected one whole number of shape (), found {_shaped(action)}; "
            f"available: {', '.join(map(str, options))}"
        )
    if whole not in options:
        raise ValueError(f"{agent}: action {whole} is not available; available: {', '.join(map(str, options))}")
    return whole


def _whole_action(action: object) -> int | None:
    """Return an action as an int, also one in an array or tensor of shape (); None if it is no whole number."""
    if isinstance(action, bool | np.bool_) or getattr(action, "shape", ()) != ():
        return None
    try:
        return operator.index(action)  # type: ignore[arg-type] # it raises TypeError for what it cannot take
    except TypeError:
        return None


def _shaped(action: object) -> str:
    """Return what was given for an action, with its shape if it has one."""
    if isinstance(action, list | tuple):
        return f"a {type(action).__name__} of {len(action)}"
    if isinstance(action, np.ndarray):
        return f"an array of shape {action.shape} and type {action.dtype}"
    shape = getattr(action, "shape", ())
    return f"{shown(action)} of shape {tuple(shape)}" if shape != () else shown(action)
