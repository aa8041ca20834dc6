"""The team's reward of one step (spec section 5, SMAC's defaults)."""

from __future__ import annotations

from envproxy.backends.skirmish.compiled import part
from envproxy.backends.skirmish.maps import REWARD_DEATH, REWARD_WIN, MapFacts
from envproxy.backends.skirmish.records import Unit, Units


@part
def hp(unit: Unit) -> float:
    """Return health and shield together."""
    return float(unit.health + unit.shield)


@part
def remember_hp(units: Units) -> None:
    """Keep what the reward of the coming step is measured against."""
    for u in range(len(units)):
        units[u].hp_before = hp(units[u])


@part
def step_reward(units: Units, won: bool, facts: MapFacts) -> float:
    """Return what the step since `remember_hp` is worth.

    |damage + kills|, with SMAC's absolute value: an enemy whose shield recovers pays a little too (issue 72).
    """
    reward = 0.0
    for u in range(facts.n_agents, len(units)):
        unit = units[u]
        reward += unit.hp_before - hp(unit)
        if unit.hp_before > 0.0 and unit.health <= 0.0:
            reward += REWARD_DEATH
    return (abs(reward) + (REWARD_WIN if won else 0.0)) / facts.reward_divisor
