"""What units did, told from what the game shows of them before and after a step."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envproxy import maps, recording
from envproxy.backends.smac import worker
from envproxy.maps import FIRST_TARGET
from envproxy.recording import NO_ACTION, NO_UNIT

_SEEN: Final = ("x", "y", "health", "shield", "energy")
_COLUMN: Final = {name: column for column, name in enumerate(worker.FRAME)}


class Moment(NamedTuple):
    """A battle between two steps."""

    frame: NDArray[np.void]  # FRAME [U], allies then enemies
    cooldown: NDArray[np.float32]  # [U], loops until a weapon may shoot again; the game shows the allies' alone


def healing_seats(map_name: str) -> NDArray[np.bool_]:
    """Return [N] which seats act on allies, not on enemies: SMAC's Medivacs, on its MMM maps alone."""
    heals, units = maps.smac_map(map_name).heals, maps.facts()["units"]
    return np.array([heals and "heal" in units[unit] for unit in maps.ally_units(map_name)])


def begin(shown: NDArray[np.float32]) -> Moment:
    """Return the moment in which a battle begins, of what its game shows: [U, len(worker.FRAME)]."""
    frame = np.zeros(len(shown), recording.FRAME)
    for name in _SEEN:
        frame[name] = shown[:, _COLUMN[name]]
    frame["last_action"] = NO_ACTION
    frame["target"] = frame["victim"] = frame["healing"] = NO_UNIT
    return Moment(frame, shown[:, _COLUMN["cooldown"]])


def follow(before: Moment, actions: NDArray[np.uint8], shown: NDArray[np.float32], heals: NDArray[np.bool_]) -> Moment:
    """Return the moment after a step with `actions` [N], of what the game shows then; `heals` [N]: `healing_seats`.

    A weapon whose cooldown has risen has shot at the target that its action named. Of two shots in one step one is
    seen. A Medivac whose energy has fallen has healed its target. Of enemies the game shows neither targets nor
    cooldowns: they have no target here, and no shots.
    """
    n_agents = len(actions)
    now = begin(shown)
    frame, allies, were = now.frame, now.frame[:n_agents], before.frame[:n_agents]
    frame["shots"], frame["victim"] = before.frame["shots"], before.frame["victim"]
    allies["last_action"] = actions
    acts = (actions >= FIRST_TARGET) & (allies["health"] > 0.0)  # the dead are shown without cooldown and energy
    target = np.where(acts, actions.astype(np.int16) - FIRST_TARGET + np.where(heals, 0, n_agents), NO_UNIT)
    allies["target"] = target
    shot = acts & ~heals & (before.frame["health"][target] > 0.0) & (now.cooldown > before.cooldown)[:n_agents]
    allies["shots"] += shot
    allies["victim"] = np.where(shot, target, allies["victim"])
    allies["healing"] = np.where(acts & heals & (allies["energy"] < were["energy"]), target, NO_UNIT)
    return now
