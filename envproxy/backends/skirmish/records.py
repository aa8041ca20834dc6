"""The records a batch of battles is made of, as numpy structured arrays that compiled code changes in place.

`units` is UNIT [E, U], U = allies then enemies, so `units["x"]` is an array [E, U]. `progress` is PROGRESS [E].
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envproxy import recording

Units: TypeAlias = NDArray[np.void]  # UNIT [U], one battle
Unit: TypeAlias = Any  # one UNIT record: compiled code reads and writes its fields as attributes
Progress: TypeAlias = Any  # one PROGRESS record

# A battle's phase.
NEVER_RESET: Final = 0
ON: Final = 1
OVER: Final = 2

# An ally's order, given by its seat's last action. The enemy's units have one order for ever, see below.
STOP: Final = 0
MOVE: Final = 1
ATTACK: Final = 2
HEAL: Final = 3

# Where a unit goes. Units of one layer make room for each other; each layer has its own walkable cells.
GROUND: Final = 0
STRIDING: Final = 1  # the Colossus: over other units, and over walls that have another side
AIR: Final = 2
LAYERS: Final = 3

# What the enemy's units were told when they were made.
TO_A_POINT: Final = 0
TO_A_SEGMENT: Final = 1  # to one point of it, drawn for each battle
TO_THE_ALLIES: Final = 2
NOWHERE: Final = 3
TO_THE_NEAREST: Final = 4  # each at the ally that is nearest to it, again whenever that one has fallen

NO_UNIT: Final = recording.NO_UNIT  # no target, no attacker
NO_ACTION: Final = recording.NO_ACTION

# Fields that end in _in count game loops down to 0. Distances are in map cells.
UNIT: Final = np.dtype(
    [
        ("x", np.float64),
        ("y", np.float64),
        ("health", np.float64),  # 0 = dead
        ("shield", np.float64),
        ("kind", np.int64),  # index into the map's kinds
        ("by_x", np.int64),  # row k: the unit that is k-th from the west
        ("last_action", np.int64),  # of an ally's seat
        ("order", np.int64),  # of an ally
        ("goal_x", np.float64),  # where it goes: an ally's MOVE, the enemy's attack-move
        ("goal_y", np.float64),
        ("target", np.int64),  # the unit to attack or heal, or NO_UNIT
        ("pace", np.float64),  # how fast it flies: Medivacs gather speed
        ("moved", np.bool_),  # walked in this loop
        ("heading_x", np.float64),  # unit vector along which it walked last
        ("heading_y", np.float64),
        ("detour", np.int64),  # the side on which it rounds what stands in its way: 1, -1, or 0 when nothing does
        ("detour_in", np.int64),  # until it forgets that side
        ("fights", np.bool_),  # stood in range of its target in this loop
        ("swinging", np.bool_),  # between the start of an attack and its damage point
        ("swing_in", np.float64),
        ("cooldown", np.float64),  # loops until the weapon may shoot again
        ("backswing_in", np.float64),  # until it walks after a shot, unless a new order tears it away
        ("strikes", np.int64),  # hits of the last shot that have not landed
        ("strike_in", np.float64),
        ("victim", np.int64),  # who those hits land on
        ("shots", np.int64),  # since the battle began
        ("dealt", np.float64),  # damage that its hits have done since then
        ("energy", np.float64),
        ("healing", np.int64),  # whom it healed in this loop, or NO_UNIT
        ("calm", np.int64),  # loops since the last damage
        ("attacker", np.int64),  # who hit it since its side last thought about it, or NO_UNIT
        ("bursting", np.bool_),  # died in this loop and takes others with it
        ("look_in", np.int64),  # enemy side: until it looks for a better target
        ("help_in", np.int64),  # enemy side: until it may call for help again
        ("far_from", np.float64),  # enemy side: distance to its target at the last look
        ("post_x", np.float64),  # enemy side: where its pursuit began
        ("post_y", np.float64),
        ("hp_before", np.float64),  # health + shield when the step began
        ("look", np.int64),  # of an ally: the direction of its cone of sight, a row of the map's looks
        ("spotter", np.int64),  # enemy side: the ally that saw it first, or NO_UNIT; kept only where sight is shared
        ("shown_to", np.int64),  # enemy side: bit k: ally k may see it
    ],
    align=True,
)

PROGRESS: Final = np.dtype([("rng", np.uint64), ("steps", np.int64), ("phase", np.int64)], align=True)

# What all units of a type and side share. Times in game loops, speeds in cells per loop.
KIND: Final = np.dtype(
    [
        ("health", np.float64),
        ("shield", np.float64),
        ("armour", np.float64),
        ("regeneration", np.float64),  # of health, per loop
        ("biological", np.bool_),  # can be healed
        ("speed", np.float64),
        ("acceleration", np.float64),
        ("layer", np.int64),
        ("radius", np.float64),
        ("separation_radius", np.float64),
        ("core_radius", np.float64),  # what a friend that squeezes past does not enter
        ("range", np.float64),
        ("range_slop", np.float64),  # how far beyond its range a weapon still finishes a swing
        ("scan_range", np.float64),  # how far the enemy's units see a target by themselves
        ("period", np.float64),
        ("damage_point", np.float64),
        ("hits", np.int64),
        ("hit_interval", np.float64),
        ("missile_speed", np.float64),  # 0 = hits at once
        ("beam", np.float64),  # half the length of the line that a hit sweeps, 0 = it hits one unit
        ("beam_radius", np.float64),
        ("burst", np.float64),  # radius of the explosion in which it attacks and dies, 0 = none
        ("energy", np.float64),  # at the beginning
        ("max_energy", np.float64),
        ("energy_regeneration", np.float64),
        ("heal_range", np.float64),  # 0 = does not heal
        ("heal_scan_range", np.float64),
        ("heal_rate", np.float64),  # health per loop
        ("heal_cost", np.float64),  # energy per health
        ("heal_least_energy", np.float64),  # to begin by itself
        ("max_cooldown", np.float64),  # SMAC's divisor of the cooldown in the state
        ("sight", np.float64),  # between centres, of a seat: not what StarCraft's unit sees
        ("reach", np.float64),  # between centres: how far off a seat's target may be, whatever the weapon's range
        ("type_column", np.int64),  # of the type one-hot, where the map has one
        ("share", np.float64),  # its chance at each draw of a team, where teams are drawn
        ("never_alone", np.bool_),  # no drawn team may consist of such kinds alone
    ],
    align=True,
)

# What a map with fixed teams makes a unit of.
ROSTER: Final = np.dtype(
    [
        ("kind", np.int64),
        ("spawn_x", np.float64),
        ("spawn_y", np.float64),
        ("place", np.int64),  # its number among those created at the same point
        ("spacing", np.float64),  # distance between neighbours of that crowd
    ],
    align=True,
)
