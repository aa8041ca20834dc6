"""How a battle ends."""

from __future__ import annotations

from typing import Final

from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import Progress, Units
from envproxy.backends.skirmish.rules.actions import is_medivac
from operations.compiled import part

GOES_ON: Final = 0
WON: Final = 1
LOST: Final = 2
DRAWN: Final = 3
TIMED_OUT: Final = 4


@part
def ending(units: Units, progress: Progress, facts: MapFacts) -> int:
    """Say how the battle stands after the step that was just counted. The order of the questions is SMAC's."""
    allies = _living(units[: facts.n_agents])
    enemies = _living(units[facts.n_agents :])
    if (allies == 0 and enemies > 0) or (
        facts.heals and allies == _living_medivacs(units[: facts.n_agents], facts)
    ):  # so where Medivacs do not count no battle is drawn
        return LOST
    if enemies == 0 and allies > 0:
        return WON
    if facts.heals and enemies == _living_medivacs(units[facts.n_agents :], facts):
        return WON
    if allies == 0:
        return DRAWN
    return TIMED_OUT if progress.steps >= facts.episode_limit else GOES_ON


@part
def _living(units: Units) -> int:
    living = 0
    for u in range(len(units)):
        if units[u].health > 0.0:
            living += 1
    return living


@part
def _living_medivacs(units: Units, facts: MapFacts) -> int:
    living = 0
    for u in range(len(units)):
        if units[u].health > 0.0 and is_medivac(units[u], facts):
            living += 1
    return living
