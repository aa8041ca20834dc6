"""Scripted teams: what a map asks for from a team that has learned nothing.

They know every position. `random`, `nearest` and `focus` take available actions and have no memory: each step chooses
again. Their moves lead straight along an axis; who stands before a wall does not find the way round it. `heuristic` and
`heuristic-rest` are SMAC's own scripted team. They remember targets and give orders that the action mask forbids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from envproxy.backend import Observation
from envproxy.backends.skirmish.battles import Skirmish
from envproxy.backends.skirmish.records import NO_UNIT, ON
from envproxy.backends.skirmish.rules.actions import ACT_STOP, EAST, NO_OP, NORTH, SOUTH, WEST

_T = TypeVar("_T", np.bool_, np.float64)

# Chooses an action [E, N] for every seat; no-op for the dead and in battles that are not on.
Policy: TypeAlias = Callable[[Skirmish, Observation, np.random.Generator], NDArray[np.uint8]]


class _Targets(NamedTuple):
    """What the seats may aim at, [E, N, T], T = n_enemies: target k is that of action 6 + k."""

    dx: NDArray[np.float64]
    dy: NDArray[np.float64]
    hp: NDArray[np.float64]  # health + shield
    wanted: NDArray[np.bool_]  # alive, and the seat can do something about it

    @property
    def distance(self) -> NDArray[np.float64]:
        """[E, N, T], squared, between centres."""
        return np.asarray(self.dx**2 + self.dy**2)


def random(battles: Skirmish, seen: Observation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw from the available actions, all alike."""
    return _of_those_who_play(battles, draw(seen, rng))


def nearest(battles: Skirmish, seen: Observation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Attack the nearest enemy that the weapon can hit, or go there. Who heals does so with the nearest hurt ally."""
    targets = _targets(battles)
    return _of_those_who_play(battles, _approach(targets, battles, seen))


def focus(battles: Skirmish, seen: Observation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Attack the weakest enemy of those that can be attacked now, of equals the nearest; else act as `nearest`."""
    targets = _targets(battles)
    options = targets.wanted & seen.available[..., battles.facts.first_target :]
    hp = np.where(options, targets.hp, np.inf)
    weakest = options & (hp == hp.min(-1, keepdims=True))
    attack = battles.facts.first_target + np.where(weakest, targets.distance, np.inf).argmin(-1)
    return _of_those_who_play(battles, np.where(options.any(-1), attack, _approach(targets, battles, seen)))


def draw(seen: Observation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw from the available actions of any backend's battles, all alike; return [E, N], 0 where there is none."""
    best: NDArray[np.int64] = (rng.random(seen.available.shape) * seen.available).argmax(-1)
    return best.astype(np.uint8)


class Heuristic:
    """SMAC's `heuristic_ai`: attack the nearest enemy, however far, and stay with it until it is dead.

    Who heals stays with the nearest hurt ally until that one is whole or dead, and keeps its order where it finds none.
    With `rest`, which is `heuristic_rest`, a seat whose target's action is not available moves along the longer axis,
    a wall or not. It plays on battles that are not masked; a battle that begins is a battle without targets.
    """

    def __init__(self, rest: bool = False) -> None:
        self._rest = rest
        self._target = np.zeros((0, 0), np.int64)  # [E, N], or NO_UNIT

    def __call__(self, battles: Skirmish, seen: Observation, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Choose actions [E, N]. The generator is not used."""
        targets = _targets(battles)
        if self._target.shape != seen.available.shape[:2]:
            self._target = np.full(seen.available.shape[:2], NO_UNIT)
        self._target[battles.progress["steps"] == 0] = NO_UNIT
        nearest_wanted = np.where(targets.wanted, targets.distance, np.inf).argmin(-1)
        stays = (self._target != NO_UNIT) & _at(targets.wanted, np.maximum(self._target, 0))
        found = _at(targets.wanted, nearest_wanted)
        self._target = np.where(stays, self._target, np.where(found, nearest_wanted, NO_UNIT))
        target = np.maximum(self._target, 0)
        actions = battles.facts.first_target + target
        if self._rest:
            dx, dy = _at(targets.dx, target), _at(targets.dy, target)
            along_x, along_y = np.where(dx > 0.0, EAST, WEST), np.where(dy > 0.0, NORTH, SOUTH)
            move = np.where(np.abs(dx) > np.abs(dy), along_x, along_y)
            actions = np.where(_at(seen.available, actions), actions, move)
        return _of_those_who_play(battles, np.where(self._target != NO_UNIT, actions, NO_OP))


POLICIES: Final[dict[str, Policy]] = {"random": random, "nearest": nearest, "focus": focus}
HEURISTICS: Final = {"heuristic": False, "heuristic-rest": True}  # and whether it takes the mask into account
NAMES: Final = (*POLICIES, *HEURISTICS)
DESCRIPTIONS: Final = {  # of NAMES, what a team does
    "random": "random actions",
    "nearest": "attack the nearest",
    "focus": "focus fire on the weakest in range",
    "heuristic": "SMAC's own, attack the nearest until it is dead",
    "heuristic-rest": "SMAC's own with the action mask, attack the nearest until it is dead",
}


def scripted_team(name: str) -> Policy:
    """Return one of NAMES, with a memory of its own. Raises KeyError for another name."""
    return Heuristic(HEURISTICS[name]) if name in HEURISTICS else POLICIES[name]


def _of_those_who_play(battles: Skirmish, actions: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Keep the actions [E, N] of the living in the battles that are on."""
    plays = (battles.units["health"][:, : battles.spec.n_agents] > 0.0) & (battles.progress["phase"] == ON)[:, None]
    return np.where(plays, actions, NO_OP).astype(np.uint8)


def _targets(battles: Skirmish) -> _Targets:
    n_agents, facts = battles.spec.n_agents, battles.facts
    allies, enemies = battles.units[:, :n_agents], battles.units[:, n_agents:]
    can_hit = facts.damage[allies["kind"][:, :, None], enemies["kind"][:, None]] > 0.0
    targets = _Targets(
        dx=enemies["x"][:, None] - allies["x"][:, :, None],
        dy=enemies["y"][:, None] - allies["y"][:, :, None],
        hp=np.repeat((enemies["health"] + enemies["shield"])[:, None], n_agents, axis=1),
        wanted=(enemies["health"] > 0.0)[:, None] & can_hit,
    )
    if facts.heals:
        _aim_at_the_hurt(targets, battles)
    return targets


def _aim_at_the_hurt(targets: _Targets, battles: Skirmish) -> None:
    """Change the targets of those who heal into allies: k is ally k, wanted if it is hurt and does not heal itself.

    They count as equally strong, so that `focus` heals the nearest too.
    """
    n_agents, facts = battles.spec.n_agents, battles.facts
    allies = battles.units[:, :n_agents]
    kinds = facts.kinds[allies["kind"]]
    heals = kinds["heal_range"] > 0.0
    hurt = (allies["health"] > 0.0) & (allies["health"] < kinds["health"]) & ~heals
    for battle, seat in np.argwhere(heals):
        patients, healer = allies[battle], allies[battle, seat]
        targets.dx[battle, seat, :n_agents] = patients["x"] - healer["x"]
        targets.dy[battle, seat, :n_agents] = patients["y"] - healer["y"]
        targets.hp[battle, seat] = 0.0
        targets.wanted[battle, seat] = False
        targets.wanted[battle, seat, :n_agents] = hurt[battle]


def _approach(targets: _Targets, battles: Skirmish, seen: Observation) -> NDArray[np.int64]:
    """[E, N]: act on the nearest wanted target, or step towards it, first along the longer way; else stop."""
    target = np.where(targets.wanted, targets.distance, np.inf).argmin(-1)
    dx, dy = _at(targets.dx, target), _at(targets.dy, target)
    along_x = np.where(dx > 0.0, EAST, WEST)
    along_y = np.where(dy > 0.0, NORTH, SOUTH)
    is_wide = np.abs(dx) > np.abs(dy)
    actions = np.full(target.shape, ACT_STOP)
    # In order of preference, the last first: each one that is available replaces those before it.
    act = battles.facts.first_target + target
    for better in (np.where(is_wide, along_y, along_x), np.where(is_wide, along_x, along_y), act):
        actions = np.where(_at(targets.wanted, target) & _at(seen.available, better), better, actions)
    return actions


def _at(values: NDArray[_T], index: NDArray[np.int64]) -> NDArray[_T]:
    """Return the value [E, N] that each seat's index [E, N] picks of its values [E, N, ...]."""
    return np.take_along_axis(values, index[..., None], -1)[..., 0]
