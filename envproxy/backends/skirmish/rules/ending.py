"""How a battle ends (spec section 6)."""

from __future__ import annotations

from typing import Final

from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import Progress, Units

GOES_ON: Final = 0
WON: Final = 1
LOST_OR_DRAWN: Final = 2
TIMED_OUT: Final = 3


@part
def ending(units: Units, progress: Progress, facts: MapFacts) -> int:
    """Say how the battle stands after the step that was just counted."""
    allies = _living(units[: facts.n_agents])
    enemies = _living(units[facts.n_agents :])
    if allies > 0 and enemies == 0:
        return WON
    if allies == 0:
        return LOST_OR_DRAWN
    return TIMED_OUT if progress.steps >= facts.episode_limit else GOES_ON


@part
def _living(units: Units) -> int:
    living = 0
    for u in range(len(units)):
        if units[u].health > 0.0:
            living += 1
    return living
