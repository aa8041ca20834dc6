"""skirmish, the embedded battle simulator: SMAC's rules over a small engine of StarCraft II's units."""

from __future__ import annotations

from envproxy.backend import BackendFailedError
from envproxy.backends.skirmish.battles import Skirmish
from envproxy.backends.skirmish.snapshot import Snapshot
from envproxy.maps import map_names
from envproxy.options import OptionsError
from envproxy.rules import SMAC_RULES, Rules, refuse
from operations.compiled import CompilationOffError, check_compilation

try:
    check_compilation("the simulator")
except CompilationOffError as error:
    raise BackendFailedError(str(error)) from None

__all__ = ["Skirmish", "Snapshot", "create", "create_recordable", "map_names"]


def create(map_name: str, battles: int, rules: Rules = SMAC_RULES, options: str = "") -> Skirmish:
    """Return `battles` battles of a map of `map_names()`, none of them started.

    Raises RulesError for rules of StarCraft II's own, OptionsError if there are `options`: it has none.
    """
    refuse(rules, ("difficulty", "game_version"), "only the backend smac plays StarCraft II")
    if options:
        raise OptionsError(f"backend-options: expected none, for skirmish has none, found {options!r}")
    return Skirmish(map_name, battles, rules)


create_recordable = create  # the units are there to be shown
