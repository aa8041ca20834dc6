"""Who may see which enemy, where seeing it is a matter of luck for all but the first: `prob-obs-enemy` below 1.

An enemy is tied to the first seat that sees it. In that moment each other seat draws whether it may see this enemy
whenever it is in sight. The tie ends with the enemy or with that seat: then the next seat that sees it is the first.
"""

from __future__ import annotations

from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import NO_UNIT, Progress, Units
from envproxy.backends.skirmish.rng import uniform
from envproxy.backends.skirmish.rules.observation import sees
from operations.compiled import part


@part
def share_sight(units: Units, progress: Progress, facts: MapFacts) -> None:
    """Tie the enemies that are seen for the first time, and release those whose tie has ended."""
    if facts.rules[0].prob_obs_enemy >= 1.0:
        return
    for e in range(facts.n_agents, len(units)):
        enemy = units[e]
        if enemy.spotter != NO_UNIT and (enemy.health <= 0.0 or units[enemy.spotter].health <= 0.0):
            enemy.spotter = NO_UNIT
            enemy.shown_to = 0
        if enemy.spotter == NO_UNIT and enemy.health > 0.0:
            _tie(e, units, progress, facts)


@part
def _tie(e: int, units: Units, progress: Progress, facts: MapFacts) -> None:
    """Tie enemy `e` to one of the seats that see it, each as likely as the others, if there are any."""
    seeing = 0
    for seat in range(facts.n_agents):
        if units[seat].health > 0.0 and sees(units[seat], units[e], facts):
            seeing += 1
            if uniform(progress, 0.0, 1.0) * seeing < 1.0:
                units[e].spotter = seat
    if seeing == 0:
        return
    for seat in range(facts.n_agents):
        if seat == units[e].spotter or uniform(progress, 0.0, 1.0) < facts.rules[0].prob_obs_enemy:
            units[e].shown_to |= 1 << seat
