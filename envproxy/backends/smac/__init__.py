"""smac, the real game: StarCraft II through SMAC (oxwhirl's) on pysc2, a process for every battle."""

from __future__ import annotations

from envproxy.backends.smac.battles import SmacBattles
from envproxy.backends.smac.options import GameOptions
from envproxy.maps import map_names
from envproxy.rules import SMAC_RULES, Rules

__all__ = ["SmacBattles", "create", "create_recordable", "map_names"]


def create(map_name: str, battles: int, rules: Rules = SMAC_RULES, options: str = "") -> SmacBattles:
    """Return `battles` battles of a map of `map_names()`; no game is started. `options` as `GameOptions.text`.

    Raises RulesError and OptionsError for what SMAC does not have.
    """
    return SmacBattles(map_name, battles, rules, GameOptions.parse(options))


def create_recordable(map_name: str, battles: int, rules: Rules = SMAC_RULES, options: str = "") -> SmacBattles:
    """Return battles as `create` does, whose games show their units with every step. Raises as `create` does."""
    return SmacBattles(map_name, battles, rules, GameOptions.parse(options), frames=True)
