"""The contract between an arena and what plays its battles, and how a backend is found by name.

A backend is a module that an installed package registers under the entry point group `pps_qmix.backends`. It has two
functions, and a third if `pps-qmix watch` can show its battles:

    map_names() -> list[str]
    create(map_name: str, battles: int, rules: Rules, options: str) -> Backend
    create_recordable(map_name: str, battles: int, rules: Rules, options: str) -> Recordable

They start nothing and ask the machine for nothing: sizes are read from a backend where no battle will be played.
`options` is the setting `backend-options`, how the backend runs on this machine; "" where nothing differs.
docs/backends.md shows how to write one, and `envproxy.compliance` tests it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from envproxy.options import OptionsError, shown
from envproxy.rules import SMAC_RULES, Rules
from operations.defaults import default_config
from operations.suggestions import did_you_mean

GROUP: Final = "pps_qmix.backends"  # of entry points


@dataclass(frozen=True)
class MapSpec:
    """Sizes of a map.

    Action 0 is no-op and action 1 is stop: see `Observation`. The backend gives the others their meaning.
    """

    name: str
    n_agents: int
    n_actions: int  # at most 255
    obs_size: int
    state_size: int
    episode_limit: int  # steps
    unit_types: tuple[str, ...] = ()  # of each seat; () where they are not known, or others in every battle


class StepResult(NamedTuple):
    """What one step gave each of E battles. A battle that was over before the step reports zeros and False."""

    reward: NDArray[np.float32]  # [E], the team's
    terminated: NDArray[np.bool_]  # [E], won, lost or drawn: nothing follows
    truncated: NDArray[np.bool_]  # [E], cut by the map's step limit
    won: NDArray[np.bool_]  # [E]
    void: NDArray[np.bool_]  # [E], truncated because the backend lost the battle: what this step did is unknown


class Observation(NamedTuple):
    """What E battles look like now. The arrays are the caller's to keep: the next step makes new ones.

    An agent that has fallen can take no-op (action 0) alone, and no other agent can take it. An agent that lives can
    stop (action 1): an arena lets a silent seat do that.
    """

    obs: NDArray[np.float32]  # [E, N, obs_size], -1..1
    available: NDArray[np.bool_]  # [E, N, n_actions]
    state: NDArray[np.float32]  # [E, state_size]


class Backend(Protocol):
    """E battles of one map that step together."""

    @property
    def spec(self) -> MapSpec:
        """Sizes of the map."""

    @property
    def battles(self) -> int:
        """E, the number of battles."""

    @property
    def repeatable(self) -> bool:
        """Whether a battle is a function of its seed and actions alone.

        If so, a copy (pickle, deepcopy, fork) plays its battles on by itself; other backends are not to be copied.
        """

    @property
    def quick(self) -> bool:
        """Whether it computes, and so returns in milliseconds; else it waits for other processes."""

    @property
    def restarts(self) -> int:
        """How often what plays a battle was started again after a fault."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """What the battles are played on, for a run's record; empty where our own version says it all."""

    def prepare(self) -> None:
        """Look for what the battles need on this machine, before anything listens or is begun.

        Raises BackendFailedError, with what to do; so does a `reset` without it.
        """

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        """Start a new battle where `mask` [E] is True; if `repeatable`, the one of its seed.

        `seeds` is [E]; entries where the mask is False are ignored.
        Raises BackendFailedError if a battle cannot be started.
        """

    def step(self, actions: NDArray[np.uint8]) -> StepResult:
        """Play one environment step with `actions` [E, N]; battles that are over stay as they are.

        Raises ValueError, naming battle and seat, if an action of a battle that is on is not available; then
        nothing has been played. Raises BackendFailedError if the backend cannot play on.
        """

    def observe(self) -> Observation:
        """Return the present observations, availability and state. A battle never reset is all zeros."""

    def close(self) -> None:
        """Free what the battles hold (processes, files). May be called twice, and while another thread steps."""


class Recordable(Backend, Protocol):
    """A backend that shows the units of its battles, for `envproxy.recording`."""

    def frame(self, battle: int) -> NDArray[np.void]:
        """Return a copy of the units FRAME [U] of battle 0..E-1 as they are now, allies then enemies."""


class BackendModule(Protocol):
    """What an entry point of the group GROUP names."""

    def map_names(self) -> list[str]:
        """Return the names of the maps."""

    def create(self, map_name: str, battles: int, rules: Rules, options: str) -> Backend:
        """Return `battles` battles of one of these maps, none started. Raises OptionsError (RulesError)."""


class BackendFailedError(Exception):
    """Battles cannot be played; the message is for the user: what failed, its last words, and what to do."""


class UnknownNameError(ValueError):
    """A backend or map that does not exist; the message lists those that do."""


class BrokenBackendError(ValueError):
    """A package registers a backend that cannot be used; the message is one line with the backend and the reason."""


def backend_names() -> list[str]:
    """Return the names of the backends that installed packages register, sorted. Imports none of them."""
    return sorted(entry_points(group=GROUP).names)


def check_map_named(backend: str) -> None:
    """Raise UnknownNameError if a backend lacks the default map: a user of that backend names a map."""
    names = map_names(backend)
    if default_config()["map"] not in names:
        raise UnknownNameError(f"map: the backend {backend!r} needs a map: --map NAME; it has {', '.join(names)}")


def map_names(backend: str) -> list[str]:
    """Return the maps that `backend` can play. Raises UnknownNameError, or BrokenBackendError if it cannot be used."""
    return _module(backend).map_names()


def map_specs(backend: str) -> list[MapSpec]:
    """Return the sizes of all maps of `backend`; nothing is started for that.

    Raises UnknownNameError, BackendFailedError, and BrokenBackendError also for what the backend itself raises.
    """
    module = _module(backend)
    try:
        created = [module.create(name, 1, SMAC_RULES, "") for name in module.map_names()]
        specs = [each.spec for each in created]
        for each in created:
            each.close()
    except BackendFailedError:
        raise
    except Exception as error:  # of code that is not ours
        raise BrokenBackendError(f"the backend {backend!r} cannot list its maps: {_reason(error)}") from error
    return specs


def create_backend(backend: str, map_name: str, battles: int, rules: Rules = SMAC_RULES, options: str = "") -> Backend:
    """Return `battles` battles of a map, none of them started.

    Raises UnknownNameError, BrokenBackendError, ValueError for a number of battles that is not 1 or more, and
    OptionsError (RulesError) for rules or options that are none or that the backend does not have.
    """
    module = _module_with(backend, map_name)
    _check_options(rules, options)
    return module.create(map_name, whole_battles(battles), rules, options)


def create_recordable(
    backend: str, map_name: str, battles: int, rules: Rules = SMAC_RULES, options: str = ""
) -> Recordable:
    """Return battles whose units can be shown, which may take more time.

    Raises as `create_backend` does, and ValueError if the backend does not show its units.
    """
    module = _module_with(backend, map_name)
    _check_options(rules, options)
    create = getattr(module, "create_recordable", None)
    if create is None:
        raise ValueError(f"the backend {backend!r} does not show its units: it has no create_recordable")
    created: Recordable = create(map_name, whole_battles(battles), rules, options)
    return created


def whole_battles(battles: int) -> int:
    """Return a number of battles as an int. Raises ValueError if it is not a whole number of at least 1."""
    if isinstance(battles, bool) or not isinstance(battles, int | np.integer):
        raise ValueError(f"battles: expected a whole number, found {shown(battles)}")
    if battles < 1:
        raise ValueError(f"there must be at least one battle, not {battles}")
    return int(battles)


def check_array(name: str, array: NDArray[np.generic], dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    """Raise ValueError, naming both, unless `array` is an array of this type and shape: what compiled code needs."""
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} must be {dtype} {list(shape)}, not {shown(array)}")
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} must be {dtype} {list(shape)}, not {array.dtype} {list(array.shape)}")


def _check_options(rules: object, options: object) -> None:
    """Raise OptionsError (RulesError) for a value of another type: the text of an option is read elsewhere."""
    Rules.require(rules)
    if not isinstance(options, str):
        raise OptionsError(f"backend-options: expected a text of NAME=VALUE, found {shown(options)}")


def _module_with(backend: str, map_name: str) -> BackendModule:
    """Return the module of a backend that has a map. Raises UnknownNameError, BrokenBackendError."""
    module = _module(backend)
    names = module.map_names()
    if not isinstance(map_name, str) or map_name not in names:
        hint = did_you_mean(map_name, names)
        raise UnknownNameError(f"the backend {backend!r} has no map {map_name!r}; it has {', '.join(names)}{hint}")
    return module


def _module(backend: str) -> BackendModule:
    """Import the module of a backend. Raises UnknownNameError, BrokenBackendError."""
    entry = _entry_point(backend)
    provided = f"{entry.value} of the package {entry.dist.name}" if entry.dist is not None else entry.value
    try:
        module = entry.load()
    except BackendFailedError:  # it says itself what to do
        raise
    except Exception as error:  # whatever a module of others raises when it is imported
        raise BrokenBackendError(
            f"the backend {backend!r} ({provided}) cannot be imported: {_reason(error)}; repair or uninstall it"
        ) from error
    for name in ("map_names", "create"):
        if not callable(getattr(module, name, None)):
            raise BrokenBackendError(
                f"the backend {backend!r} ({provided}) has no function {name}; docs/backends.md says what it needs"
            )
    return cast(BackendModule, module)


def _entry_point(backend: str) -> EntryPoint:
    """Return where a backend is. Raises UnknownNameError, BrokenBackendError if several packages provide it."""
    # By value: an editable install and a wheel of the same package register the same backend twice.
    found = {entry.value: entry for entry in entry_points(group=GROUP) if entry.name == str(backend)}
    if not found:
        names = backend_names()
        remedy = "" if "skirmish" in names else "; reinstall pps-qmix, which provides skirmish and smac"
        hint = did_you_mean(backend, names) or remedy
        raise UnknownNameError(f"unknown backend {backend!r}; installed: {', '.join(names) or 'none'}{hint}")
    if len(found) > 1:
        raise BrokenBackendError(
            f"the backend {backend!r} is provided more than once: {', '.join(sorted(found))}; uninstall all but one"
        )
    return next(iter(found.values()))


def _reason(error: Exception) -> str:
    """Return an exception of a backend's code in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
