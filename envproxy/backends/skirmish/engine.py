"""The compiled entry points: start battles, check actions, play a step, observe; each over a batch [E].

`order_unit` and `play_loops` play battles by their units' orders, without SMAC's actions and steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envproxy.backends.skirmish.combat import land_strikes, tick_weapon
from envproxy.backends.skirmish.enemy import fight_on
from envproxy.backends.skirmish.hunt import hunt
from envproxy.backends.skirmish.maps import MapFacts
from envproxy.backends.skirmish.orders import obey, take_order
from envproxy.backends.skirmish.physics import separate
from envproxy.backends.skirmish.records import NEVER_RESET, NO_UNIT, ON, OVER, TO_THE_NEAREST, Progress, Units
from envproxy.backends.skirmish.recovery import recover
from envproxy.backends.skirmish.rules.actions import give_order, is_available, is_possible
from envproxy.backends.skirmish.rules.ending import GOES_ON, TIMED_OUT, WON, ending
from envproxy.backends.skirmish.rules.observation import write_observation
from envproxy.backends.skirmish.rules.reward import remember_hp, step_reward
from envproxy.backends.skirmish.rules.sharing import share_sight
from envproxy.backends.skirmish.rules.state import write_state
from envproxy.backends.skirmish.spawn import start
from operations.compiled import entry, part


@entry
def start_battles(
    units: NDArray[np.void],
    progress: NDArray[np.void],
    facts: MapFacts,
    near: NDArray[np.int64],
    mask: NDArray[np.bool_],
    seeds: NDArray[np.uint64],
) -> None:
    """Begin the battles [E] where `mask` [E] is True, each from its seed [E]. `near` [P, 2] is room to work in."""
    for e in range(len(units)):
        if mask[e]:
            start(units[e], progress[e], near, facts, seeds[e])
            share_sight(units[e], progress[e], facts)


@part
def first_refused(
    units: NDArray[np.void], progress: NDArray[np.void], facts: MapFacts, actions: NDArray[np.uint8], masked: bool
) -> int:
    """Return battle * n_agents + seat of the first action [E, N] that may not be taken, or -1.

    That is one which is not available or, unless `masked`, not even possible.
    """
    for e in range(len(units)):
        if progress[e].phase == ON:
            for seat in range(facts.n_agents):
                if masked:
                    taken = is_available(units[e], seat, actions[e, seat], facts)
                else:
                    taken = is_possible(units[e], seat, actions[e, seat], facts)
                if not taken:
                    return e * facts.n_agents + seat
    return -1


@entry
def play_step(
    units: NDArray[np.void],
    progress: NDArray[np.void],
    facts: MapFacts,
    near: NDArray[np.int64],
    actions: NDArray[np.uint8],
    masked: bool,
    reward: NDArray[np.float32],
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    won: NDArray[np.bool_],
) -> int:
    """Play one step of the battles [E] that are on, with `actions` [E, N]; fill the four results [E], and return -1.

    Return what `first_refused` does, and play nothing, if an action may not be taken. `near` [P, 2] is room to work in.
    """
    place: int = first_refused(units, progress, facts, actions, masked)
    if place >= 0:
        return place
    for e in range(len(units)):
        reward[e] = 0.0
        terminated[e] = truncated[e] = won[e] = False
        if progress[e].phase != ON:
            continue
        remember_hp(units[e])
        for seat in range(facts.n_agents):
            give_order(units[e][seat], seat, actions[e, seat], units[e], facts)
        for loop in range(facts.rules[0].step_mul):
            _play_loop(units[e], progress[e], near, facts, loop)
        progress[e].steps += 1
        share_sight(units[e], progress[e], facts)
        how = ending(units[e], progress[e], facts)
        won[e] = how == WON
        truncated[e] = how == TIMED_OUT
        terminated[e] = how not in (GOES_ON, TIMED_OUT)
        reward[e] = step_reward(units[e], how, facts)
        if how != GOES_ON:
            progress[e].phase = OVER
    return -1


@entry
def order_unit(
    units: NDArray[np.void], facts: MapFacts, u: int, order: int, target: int, goal_x: float, goal_y: float
) -> bool:
    """Give ally `u` of one battle, `units` UNIT [U], an order as `take_order` describes it; return what it returns."""
    return bool(take_order(units[u], order, target, goal_x, goal_y, units, facts))


@entry
def play_loops(
    units: NDArray[np.void], progress: NDArray[np.void], facts: MapFacts, near: NDArray[np.int64], count: int
) -> None:
    """Play `count` game loops of the battles [E] that are on, on the orders their units have, by no rule of SMAC's.

    A step of `play_step` is its orders and then `step_mul` of these loops. `near` [P, 2] is room to work in.
    """
    for e in range(len(units)):
        if progress[e].phase == ON:
            for loop in range(count):
                _play_loop(units[e], progress[e], near, facts, loop)


@entry
def observe_battles(
    units: NDArray[np.void],
    progress: NDArray[np.void],
    facts: MapFacts,
    obs: NDArray[np.float32],
    available: NDArray[np.bool_],
    state: NDArray[np.float32],
) -> None:
    """Fill `obs` [E, N, obs_size], `available` [E, N, n_actions] and `state` [E, state_size]."""
    obs[:] = 0.0
    available[:] = False
    state[:] = 0.0
    for e in range(len(units)):
        if progress[e].phase == NEVER_RESET:
            continue
        for seat in range(facts.n_agents):
            for action in range(facts.n_actions):
                available[e, seat, action] = is_available(units[e], seat, action, facts)
            write_observation(obs[e, seat], available[e, seat], seat, units[e], facts)
        write_state(state[e], obs[e], units[e], progress[e], facts)


@part
def _play_loop(units: Units, progress: Progress, near: NDArray[np.int64], facts: MapFacts, loop: int) -> None:
    """Play one game loop: everybody acts, then hits land, then bodies make room.

    Who acts later sees where the others have walked, and would be the first in range of them each time: so the
    order turns round with every loop.
    """
    for turn in range(len(units)):
        u = turn if loop % 2 == 0 else len(units) - 1 - turn
        unit = units[u]
        unit.moved = unit.fights = False
        unit.healing = NO_UNIT
        tick_weapon(unit, facts)
        if unit.health > 0.0:
            recover(unit, facts)
            if u < facts.n_agents:
                obey(unit, units, progress, facts)
            elif facts.enemy_order == TO_THE_NEAREST:
                hunt(u, units, progress, facts)
            else:
                fight_on(u, units, progress, facts)
            if not unit.moved:
                unit.pace = 0.0
    land_strikes(units, facts)
    separate(units, near, facts)
