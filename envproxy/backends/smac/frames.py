"""What units did, told from what the game shows of them before and after a step."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envproxy import maps, recording
from envproxy.backends.smac import worker
from envproxy.maps import BattleMap, FixedTeams
from envproxy.recording import NO_ACTION, NO_UNIT

_SEEN: Final = ("x", "y", "health", "shield", "energy")
_COLUMN: Final = {name: column for column, name in enumerate(worker.FRAME)}


class Moment(NamedTuple):
    """A battle between two steps."""

    frame: NDArray[np.void]  # FRAME [U], allies then enemies
    cooldown: NDArray[np.float32]  # [U], loops until a weapon may shoot again; the game shows the allies' alone


def healing_kinds(one: BattleMap) -> NDArray[np.bool_]:
    """Return [K] which kinds act on allies, not on enemies: Medivacs, where the map lets them."""
    units = maps.facts()["units"]
    return np.array([one.heals and "heal" in units[unit] for unit in maps.kind_names(one.name)])


def kinds_of(one: BattleMap, shown: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return the kind of each unit [U]; of drawn teams by the type columns that are `shown` [U, len(worker.FRAME)]."""
    if isinstance(one.teams, FixedTeams):
        return np.array(maps.fixed_kinds(one, one.teams), np.int16)
    columns = shown[:, _COLUMN["type_column"]].astype(int)
    allies = [one.ally_types.index(one.ally_columns[column]) for column in columns[: one.n_agents]]
    enemies = [one.enemy_types.index(one.enemy_columns[column]) for column in columns[one.n_agents :]]
    return np.array([*allies, *(len(one.ally_types) + kind for kind in enemies)], np.int16)


def begin(shown: NDArray[np.float32], kinds: NDArray[np.int16]) -> Moment:
    """Return the moment in which a battle begins, of `kinds` [U] and what its game shows: [U, len(worker.FRAME)]."""
    frame = np.zeros(len(shown), recording.FRAME)
    frame["kind"] = kinds
    for name in _SEEN:
        frame[name] = shown[:, _COLUMN[name]]
    frame["last_action"] = NO_ACTION
    frame["target"] = frame["victim"] = frame["healing"] = NO_UNIT
    return Moment(frame, shown[:, _COLUMN["cooldown"]])


def follow(
    before: Moment, actions: NDArray[np.uint8], shown: NDArray[np.float32], heals: NDArray[np.bool_], first_target: int
) -> Moment:
    """Return the moment after a step with `actions` [N], of what the game shows then; `heals` [K]: `healing_kinds`.

    A weapon whose cooldown has risen has shot at the target that its action named. Of two shots in one step one is
    seen. A Medivac whose energy has fallen has healed its target. Of enemies the game shows neither targets nor
    cooldowns: they have no target here, and no shots.
    """
    n_agents = len(actions)
    now = begin(shown, before.frame["kind"])
    heals = heals[before.frame["kind"][:n_agents]]
    frame, allies, were = now.frame, now.frame[:n_agents], before.frame[:n_agents]
    frame["shots"], frame["victim"] = before.frame["shots"], before.frame["victim"]
    allies["last_action"] = actions
    acts = (actions >= first_target) & (allies["health"] > 0.0)  # the dead are shown without cooldown and energy
    target = np.where(acts, actions.astype(np.int16) - first_target + np.where(heals, 0, n_agents), NO_UNIT)
    allies["target"] = target
    shot = acts & ~heals & (before.frame["health"][target] > 0.0) & (now.cooldown > before.cooldown)[:n_agents]
    allies["shots"] += shot
    allies["victim"] = np.where(shot, target, allies["victim"])
    allies["healing"] = np.where(acts & heals & (allies["energy"] < were["energy"]), target, NO_UNIT)
    return now
