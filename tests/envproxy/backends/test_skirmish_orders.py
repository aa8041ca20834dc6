"""Orders and game loops, which can be had without SMAC's actions and steps."""

import numpy as np
import pytest

from envproxy.backends.skirmish import Skirmish, create, engine
from envproxy.backends.skirmish.maps import FIRST_TARGET
from envproxy.backends.skirmish.physics import NEIGHBOURS
from envproxy.backends.skirmish.policies import POLICIES
from envproxy.backends.skirmish.records import ATTACK, HEAL, MOVE, NO_UNIT, ON, STOP
from envproxy.backends.skirmish.rules.actions import NORTH, STEP_X, STEP_Y
from tests.envproxy.backends.conftest import SceneMaker


def order(battle: Skirmish, seat: int, action: int) -> None:
    """Order what SMAC's action means."""
    units, n_agents = battle.units[0], battle.spec.n_agents
    unit = units[seat]
    if action >= FIRST_TARGET and battle.facts.kinds[unit["kind"]]["heal_range"] > 0.0:
        what, target, x, y = HEAL, action - FIRST_TARGET, 0.0, 0.0
    elif action >= FIRST_TARGET:
        what, target, x, y = ATTACK, n_agents + action - FIRST_TARGET, 0.0, 0.0
    elif action >= NORTH:
        what, target = MOVE, NO_UNIT
        x, y = unit["x"] + 2.0 * STEP_X[action - NORTH], unit["y"] + 2.0 * STEP_Y[action - NORTH]
    else:
        what, target, x, y = STOP, NO_UNIT, 0.0, 0.0
    engine.order_unit(units, battle.facts, seat, what, target, x, y)


@pytest.mark.parametrize("map_name", ["2s3z", "MMM2", "corridor"])
def test_a_step_is_its_orders_and_eight_loops(map_name: str) -> None:
    by_actions, by_orders = create(map_name, 1), create(map_name, 1)
    for battle in (by_actions, by_orders):
        battle.reset(np.ones(1, np.bool_), np.full(1, 5, np.uint64))
    near = np.empty((NEIGHBOURS * by_orders.units.shape[1], 2), np.int64)
    rng = np.random.default_rng(0)
    compared = [name for name in by_orders.units.dtype.names or () if name not in ("last_action", "hp_before")]
    while by_actions.progress["phase"][0] == ON:
        actions = POLICIES["nearest"](by_actions, by_actions.observe(), rng)
        by_actions.step(actions)
        for seat in range(by_orders.spec.n_agents):
            order(by_orders, seat, int(actions[0, seat]))
        engine.play_loops(by_orders.units, by_orders.progress, by_orders.facts, near, 8)
        for name in compared:
            assert by_orders.units[name].tobytes() == by_actions.units[name].tobytes(), name
        assert by_orders.progress["rng"] == by_actions.progress["rng"]
    assert by_actions.progress["steps"][0] > 10


def test_a_rejected_attack_leaves_the_order_as_it_was(scene: SceneMaker) -> None:
    # MMM: two Marauders, which cannot hit what flies, then Marines and a Medivac; the enemy's last is a Medivac.
    battle = scene("MMM", [(8, 16)] * 10, [(20, 16)] * 10).battle
    units, medivac = battle.units[0], battle.units.shape[1] - 1
    assert engine.order_unit(units, battle.facts, 0, MOVE, NO_UNIT, 9.0, 17.0)
    assert not engine.order_unit(units, battle.facts, 0, ATTACK, medivac, 0.0, 0.0)
    assert (units["order"][0], units["target"][0], units["goal_x"][0]) == (MOVE, NO_UNIT, 9.0)
