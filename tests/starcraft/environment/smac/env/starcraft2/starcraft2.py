"""An environment over pysc2's client that a worker cannot tell from SMAC's by its interface.

What it shows is simple: of a seat its health and place, of the state the places of all. Tests of what SMAC shows need
SMAC itself (PPS_TEST_SMAC).
"""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any

import numpy as np
from pysc2 import maps, run_configs
from pysc2.lib import protocol
from s2clientprotocol import common_pb2, debug_pb2, raw_pb2, sc2api_pb2

from smac.env.starcraft2.maps.smac_maps import get_smac_map_registry

_ATTACK, _MOVE, _STOP = 23, 16, 4
_FIRST_TARGET, _REACH = 6, 6.0
_STEPS = {2: (0, 1), 3: (0, -1), 4: (1, 0), 5: (-1, 0)}


class StarCraft2Env:
    """One battle after the other, on one game."""

    def __init__(self, map_name: str, seed: int, **options: Any) -> None:
        self._sizes = get_smac_map_registry()[map_name]
        self.n_agents, self.n_enemies = self._sizes["n_agents"], self._sizes["n_enemies"]
        self.reward_death_value, self.reward_win = options["reward_death_value"], options["reward_win"]
        self._map, self._seed, self._options = map_name, seed, options
        self.max_reward, self.timeouts, self._steps, self._ended = 0.0, 0, 0, 0
        self.agents: dict[int, Any] = {}
        self.enemies: dict[int, Any] = {}
        self._sc2_proc: Any = None
        self._obs: Any = None

    def reset(self) -> None:
        self._steps = 0
        try:
            if self._ended == 0:
                self._launch()
            else:
                living = [unit.tag for unit in (*self.agents.values(), *self.enemies.values()) if unit.health > 0]
                kill = debug_pb2.DebugCommand(kill_unit=debug_pb2.DebugKillUnit(tag=living))
                self._controller.debug([kill])
                self._controller.step(2)
            self._obs = self._controller.observe()
            while len(self._of(1)) != self.n_agents or len(self._of(2)) != self.n_enemies:
                self.max_reward += 100.0  # as SMAC does: late units inflate it
                self._controller.step(1)
                self._obs = self._controller.observe()
        except (protocol.ProtocolError, protocol.ConnectionError):
            self.full_restart()
        self.agents = dict(enumerate(sorted(self._of(1), key=attrgetter("unit_type", "pos.x", "pos.y"))))
        self.enemies = dict(enumerate(self._of(2)))

    def step(self, actions: list[int]) -> tuple[float, bool, dict[str, Any]]:
        orders = [self._order(seat, action) for seat, action in enumerate(actions) if action]
        try:
            self._controller.actions(sc2api_pb2.RequestAction(actions=orders))
            self._controller.step(self._options["step_mul"])
            self._obs = self._controller.observe()
        except (protocol.ProtocolError, protocol.ConnectionError):
            self.full_restart()
            return 0, True, {}
        self._steps += 1
        before = self._worth()
        for side in (self.agents, self.enemies):
            seen = {unit.tag: unit for unit in self._obs.observation.raw_data.units}
            for number, unit in side.items():
                if unit.tag in seen:
                    side[number] = seen[unit.tag]
                else:
                    unit.health = unit.shield = 0
        won = not self._living(self.enemies) and bool(self._living(self.agents))
        over = not self._living(self.enemies) or not self._living(self.agents)
        cut = not over and self._steps >= self._sizes["episode_limit"]
        self.timeouts += cut
        self._ended += over or cut
        reward = abs(before - self._worth()) + (self.reward_win if won else 0.0)
        return reward / self.max_reward * self._options["reward_scale_rate"], over or cut, {"battle_won": won}

    def full_restart(self) -> None:
        self._sc2_proc.close()
        self._launch()

    def get_obs(self) -> list[np.ndarray]:
        return [self._shown(unit, self._sizes["obs_size"]) for unit in self.agents.values()]

    def get_state(self) -> np.ndarray:
        shown = [self._shown(unit, 3) for unit in (*self.agents.values(), *self.enemies.values())]
        return np.resize(np.concatenate(shown), self._sizes["state_size"])

    def get_avail_actions(self) -> list[list[int]]:
        return [self._available(unit) for unit in self.agents.values()]

    def close(self) -> None:
        if self._sc2_proc is not None:
            self._sc2_proc.close()

    def _launch(self) -> None:
        config = run_configs.get(version=self._options["game_version"])
        path = maps.get(self._map).path
        self._sc2_proc = config.start(want_rgb=False)
        self._controller = self._sc2_proc.controller
        create = sc2api_pb2.RequestCreateGame(
            local_map=sc2api_pb2.LocalMap(map_path=path, map_data=config.map_data(path)), random_seed=self._seed
        )
        create.player_setup.add(type=sc2api_pb2.Participant)
        create.player_setup.add(type=sc2api_pb2.Computer, race=common_pb2.Terran, difficulty=sc2api_pb2.VeryHard)
        self._controller.create_game(create)
        raw = sc2api_pb2.InterfaceOptions(raw=True, score=False)
        self._controller.join_game(sc2api_pb2.RequestJoinGame(race=common_pb2.Terran, options=raw))
        self._controller.game_info()

    def _of(self, owner: int) -> list[Any]:
        return [unit for unit in self._obs.observation.raw_data.units if unit.owner == owner]

    @staticmethod
    def _living(side: dict[int, Any]) -> list[Any]:
        return [unit for unit in side.values() if unit.health > 0]

    def _worth(self) -> float:
        living = self._living(self.enemies)
        return float(sum(unit.health + unit.shield + self.reward_death_value for unit in living))

    @staticmethod
    def _shown(unit: Any, size: int) -> np.ndarray:
        shown = np.zeros(size, np.float32)
        if unit.health > 0:
            shown[:3] = unit.health / unit.health_max, unit.pos.x / 32, unit.pos.y / 32
        return shown

    def _available(self, unit: Any) -> list[int]:
        if unit.health <= 0:
            return [1] + [0] * (self._sizes["n_actions"] - 1)
        near = [
            int(enemy.health > 0 and math.hypot(enemy.pos.x - unit.pos.x, enemy.pos.y - unit.pos.y) <= _REACH)
            for enemy in self.enemies.values()
        ]
        return [0, 1, 1, 1, 1, 1, *near]

    def _order(self, seat: int, action: int) -> sc2api_pb2.Action:
        unit = self.agents[seat]
        command = raw_pb2.ActionRawUnitCommand(unit_tags=[unit.tag], queue_command=False)
        if action == 1:
            command.ability_id = _STOP
        elif action < _FIRST_TARGET:
            east, north = _STEPS[action]
            command.ability_id = _MOVE
            command.target_world_space_pos.x, command.target_world_space_pos.y = (
                unit.pos.x + 2 * east,
                unit.pos.y + 2 * north,
            )
        else:
            command.ability_id = _ATTACK
            command.target_unit_tag = self.enemies[action - _FIRST_TARGET].tag
        return sc2api_pb2.Action(action_raw=raw_pb2.ActionRaw(unit_command=command))
