"""A game's battles: `skirmish`'s, one after the other, played on orders rather than on SMAC's actions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish import create, engine
from envproxy.backends.skirmish.maps import MapFacts, kind_names
from envproxy.backends.skirmish.physics import NEIGHBOURS
from envproxy.backends.skirmish.records import AIR, ATTACK, HEAL, MOVE, NO_UNIT, STOP

ALLY: Final = 1  # owners
ENEMY: Final = 2
# The stock units' types. Allies have types of their map's own, which ascend with their names; where they begin differs
# between SMAC's maps.
STOCK_TYPES: Final = {
    "Baneling": 9,
    "Colossus": 4,
    "Hydralisk": 107,
    "Marauder": 51,
    "Marine": 48,
    "Medivac": 54,
    "SpineCrawler": 98,
    "Stalker": 74,
    "Zealot": 73,
    "Zergling": 105,
}
FIRST_ALLY_TYPE: Final = 1970
_FIRST_TAG: Final = 2**32  # tags need all of their 64 bits
_TAGS: Final = 2**10  # of one battle
# Orders come as float32, see `_displacement`.
_FINEST_STEP: Final = 1 / 1024
_ROUNDING: Final = 1e-5


class OrderError(Exception):
    """An order that the game rejects: its unit continues what it did. The message is the name of an ActionResult."""


@dataclass(frozen=True)
class SeenUnit:
    """A living unit as the game shows it. Distances in map cells, the cooldown in game loops."""

    tag: int
    owner: int
    unit_type: int
    x: float
    y: float
    radius: float
    flies: bool
    health: float
    health_max: float
    shield: float
    shield_max: float
    energy: float
    energy_max: float
    weapon_cooldown: float


def battle_seed(seed: int, battle: int) -> np.uint64:
    """Return the seed in `skirmish` of battle 0, 1, 2, ... of a game that was created with the random seed `seed`."""
    return np.uint64(np.random.SeedSequence([seed, battle]).generate_state(1, np.uint64)[0])


class Battles:
    """The battles of a game of one map. There is always one; when both its armies are gone the next can begin.

    `units` UNIT [U] are those of the present battle, allies then enemies, and `number` is its number from 0.
    """

    def __init__(self, map_name: str, seed: int, late_units: int = 0) -> None:
        """Begin battle 0 of a game with this random seed, 0 or more.

        After each spawn the last `late_units` of each side appear one loop late; the battle begins when all are there.
        """
        self._battles = create(map_name, 1)
        self._near = np.empty((NEIGHBOURS * len(self.facts.roster), 2), np.int64)
        self._names = kind_names(map_name)
        self._seed = seed
        self._late_units = late_units
        self.units: NDArray[np.void] = self._battles.units[0]
        self.number = -1
        self._missing = 0  # units of each side that are late
        self._listing: list[int] = []  # rows of `units` in the order in which they are shown
        self._begin_next()

    @property
    def facts(self) -> MapFacts:
        """What is the same in every battle of the map."""
        return self._battles.facts

    def advance(self, loops: int) -> None:
        """Play so many game loops. Where no unit lives the next battle begins instead, and no loop of it is played."""
        if not (self.units["health"] > 0.0).any():
            self._begin_next()
            return
        if self._missing:
            self._missing = 0
            loops -= 1
        engine.play_loops(self._battles.units, self._battles.progress, self.facts, self._near, loops)

    def seen_units(self) -> list[SeenUnit]:
        """Return the living: allies in an order of the battle's own, then enemies in that of their creation."""
        units, kinds = self.units, self.facts.kinds[self.units["kind"]]
        n_agents = self.facts.n_agents
        there = [u for u in self._listing if units["health"][u] > 0.0 and not self._is_missing(u)]
        return [
            SeenUnit(
                tag=self._tag(u),
                owner=ALLY if u < n_agents else ENEMY,
                unit_type=self._type(u),
                x=units["x"][u],
                y=units["y"][u],
                radius=kinds["radius"][u],
                flies=bool(kinds["layer"][u] == AIR),
                health=units["health"][u],
                health_max=kinds["health"][u],
                shield=units["shield"][u],
                shield_max=kinds["shield"][u],
                energy=units["energy"][u],
                energy_max=kinds["max_energy"][u],
                weapon_cooldown=units["cooldown"][u],
            )
            for u in there
        ]

    def stop(self, tag: int) -> None:
        """Let an ally stand still. Raises OrderError, as all orders do."""
        self._order(tag, STOP)

    def move(self, tag: int, x: float, y: float) -> None:
        """Send an ally to a point, whose coordinates are float32 values."""
        unit = self.units[self._ally(tag)]
        goal_x = unit["x"] + _displacement(x, unit["x"])
        goal_y = unit["y"] + _displacement(y, unit["y"])
        self._order(tag, MOVE, NO_UNIT, goal_x, goal_y)

    def attack(self, tag: int, target: int) -> None:
        """Let an ally attack an enemy."""
        target_u = self._living(target)
        if target_u < self.facts.n_agents:
            raise OrderError("CantTargetFriendlyUnits")
        self._order(tag, ATTACK, target_u)

    def heal(self, tag: int, target: int) -> None:
        """Let an ally that heals do so to another that is of flesh, hurt or not."""
        target_u = self._living(target)
        if self._kind(self._ally(tag))["heal_range"] == 0.0:
            raise OrderError("NotSupported")
        if target_u >= self.facts.n_agents:
            raise OrderError("CantTargetEnemyUnits")
        if not self._kind(target_u)["biological"]:
            raise OrderError("CantTargetMechanicalUnits")
        self._order(tag, HEAL, target_u)

    def kill(self, tags: Collection[int]) -> None:
        """Remove units at once, with nothing of what their death does in a fight: Banelings do not burst."""
        for u in range(len(self.units)):
            if self._tag(u) in tags:
                self.units["health"][u] = self.units["shield"][u] = 0.0
                self.units["target"][u] = NO_UNIT

    def compile(self) -> None:
        """Run all compiled code that a battle may need."""
        self.stop(self._tag(0))
        self.advance(1)

    def _begin_next(self) -> None:
        self.number += 1
        seed = battle_seed(self._seed, self.number)
        self._battles.reset(np.ones(1, np.bool_), np.array([seed]))
        self._missing = self._late_units
        n_agents = self.facts.n_agents
        allies = np.random.default_rng(int(seed)).permutation(n_agents).tolist()
        self._listing = [*allies, *range(n_agents, len(self.units))]

    def _is_missing(self, u: int) -> bool:
        n_agents = self.facts.n_agents
        return n_agents - self._missing <= u < n_agents or u >= len(self.units) - self._missing

    def _tag(self, u: int) -> int:
        return _FIRST_TAG + self.number * _TAGS + u

    def _living(self, tag: int) -> int:
        u = tag - self._tag(0)
        if not 0 <= u < len(self.units) or self.units["health"][u] <= 0.0 or self._is_missing(u):
            raise OrderError("CantTargetThatUnit")
        return u

    def _ally(self, tag: int) -> int:
        u = self._living(tag)
        if u >= self.facts.n_agents:
            raise OrderError("NotSupported")
        return u

    def _type(self, u: int) -> int:
        kind = int(self.units["kind"][u])
        # The allies' kinds come first, in the order of their names.
        return FIRST_ALLY_TYPE + kind if u < self.facts.n_agents else STOCK_TYPES[self._names[kind]]

    def _kind(self, u: int) -> np.void:
        kind: np.void = self.facts.kinds[self.units["kind"][u]]
        return kind

    def _order(self, tag: int, order: int, target: int = NO_UNIT, goal_x: float = 0.0, goal_y: float = 0.0) -> None:
        u = self._ally(tag)
        if not engine.order_unit(self.units, self.facts, u, order, target, float(goal_x), float(goal_y)):
            raise OrderError("CantTargetAirUnits")


def _displacement(goal: float, here: float) -> float:
    """Return how far `goal`, a float32 value, is from `here` along one axis.

    A client adds a whole displacement to the float32 that it was shown of `here`, and the sum is rounded once more. It
    meant the displacement from here, so what rounding explains is undone: the unit goes where it goes in `skirmish`.
    """
    displacement = goal - float(np.float32(here))
    whole = round(displacement / _FINEST_STEP) * _FINEST_STEP
    return whole if abs(displacement - whole) <= _ROUNDING else displacement
