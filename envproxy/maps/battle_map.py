"""What a battle is made of, whichever family its map is of: the record that the families' makers fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

N_MOVES: Final = 4
FIRST_TARGET: Final = 2 + N_MOVES  # actions: no-op, stop, the moves, then one per target; looks come before the targets

Point: TypeAlias = tuple[float, float]  # x, y in map cells


@dataclass(frozen=True)
class Spawn:
    """Units of one type that are created at one point."""

    unit: str
    count: int
    point: Point


@dataclass(frozen=True)
class FixedTeams:
    """The same units in every battle. The seats go by type; the enemy stays in the order of creation."""

    allies: tuple[Spawn, ...]
    enemies: tuple[Spawn, ...]


@dataclass(frozen=True)
class DrawnTeams:
    """Other units and places in every battle, drawn from its seed: see `envproxy.backends.skirmish.draft`."""

    shares: dict[str, float]  # unit -> its chance at each draw, for both sides
    never_alone: frozenset[str]  # no team may consist of these types alone


@dataclass(frozen=True)
class BattleMap:
    """Both sides, the ground, and what the map's family computes in its own way."""

    name: str
    n_agents: int
    n_enemies: int
    episode_limit: int  # steps
    teams: FixedTeams | DrawnTeams
    ally_types: tuple[str, ...]  # units, sorted
    enemy_types: tuple[str, ...]
    ally_columns: tuple[str, ...]  # units in the order of the type one-hot; () where the family shows none
    enemy_columns: tuple[str, ...]
    ally_shields: bool
    enemy_shields: bool
    heals: bool  # Medivacs have heal actions, and they do not count at the end
    enemy_order: str  # what the enemy's units are told
    order_points: tuple[Point, ...]
    terrain: str  # grids of the data file
    cliffs: str
    base_height: float
    unit_ranges: bool  # sight and attack go by the unit's type, unless the rules say otherwise
    own_pos: bool  # a seat sees its own place, unless the rules say otherwise
    pays_recovery: bool  # a step in which the enemy recovers more than it loses pays the absolute value, else nothing

    @property
    def type_bits(self) -> int:
        """How many columns the type one-hot has."""
        return len(self.ally_columns)
