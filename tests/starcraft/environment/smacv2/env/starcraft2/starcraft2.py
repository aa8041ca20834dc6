"""The environment over pysc2's client, with what SMACv2's has beside SMAC's: the type column of a unit."""

from __future__ import annotations

from typing import Any

from smac.env.starcraft2.starcraft2 import StarCraft2Env as SmacEnv

from smacv2.env.starcraft2.maps import smac_maps

__all__ = ["StarCraft2Env", "smac_maps"]

_FIRST_ALLY_TYPE = 1970  # tests/starcraft/battle.py
_ALLIES = ("Marauder", "Marine", "Medivac")
_ENEMIES = {48: "Marine", 51: "Marauder", 54: "Medivac"}
_COLUMNS = ("Marine", "Marauder", "Medivac")


class StarCraft2Env(SmacEnv):
    """One battle after the other, on one game."""

    def get_unit_type_id(self, unit: Any, ally: bool) -> int:
        name = _ALLIES[unit.unit_type - _FIRST_ALLY_TYPE] if ally else _ENEMIES[unit.unit_type]
        return _COLUMNS.index(name)
