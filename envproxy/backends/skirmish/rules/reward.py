"""The team's reward of one step."""

from __future__ import annotations

from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.records import Unit, Units
from envproxy.backends.skirmish.rules.ending import LOST, WON
from operations.compiled import part


@part
def hp(unit: Unit) -> float:
    """Return health and shield together; the dead have none."""
    return float(unit.health + unit.shield) if unit.health > 0.0 else 0.0


@part
def remember_hp(units: Units) -> None:
    """Keep what the reward of the coming step is measured against."""
    for u in range(len(units)):
        units[u].hp_before = hp(units[u])


@part
def step_reward(units: Units, how: int, facts: MapFacts) -> float:
    """Return what the step since `remember_hp` is worth, when the battle now stands as `ending` says."""
    rules = facts.rules[0]
    if rules.reward_sparse:
        reward = 0.0
        if how == WON:
            reward = 1.0
        elif how == LOST:
            reward = -1.0
    else:
        reward = _battle_reward(units, facts)
        if how == WON:
            reward += rules.reward_win
        elif how == LOST:
            reward += rules.reward_defeat
    return float(reward / facts.reward_divisor)


@part
def _battle_reward(units: Units, facts: MapFacts) -> float:
    """Return |damage + kills| or what of it is above 0, or damage + kills - losses; losses are hp and deaths.

    The absolute value is SMAC's: an enemy whose shield recovers pays a little (issue 72). SMACv2 pays nothing for it.
    """
    rules = facts.rules[0]
    won = _losses(units[facts.n_agents :], rules.reward_death_value)
    if rules.reward_only_positive:
        return float(abs(won) if facts.pays_recovery else max(won, 0.0))
    lost = _losses(units[: facts.n_agents], rules.reward_death_value)
    return float(won - rules.reward_negative_scale * lost)


@part
def _losses(units: Units, death_value: float) -> float:
    """Return what one side lost in the step; less than nothing where its shields or wounds recovered."""
    lost = 0.0
    for u in range(len(units)):
        lost += units[u].hp_before - hp(units[u])
        if units[u].hp_before > 0.0 and units[u].health <= 0.0:
            lost += death_value
    return lost
