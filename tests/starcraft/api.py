"""The part of StarCraft II's API that SMAC uses: a game's answer to each request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from s2clientprotocol import common_pb2, error_pb2, raw_pb2, sc2api_pb2

from envproxy.maps import map_names
from tests.starcraft.battle import ALLY, ENEMY, Battles, OrderError, SeenUnit
from tests.starcraft.faults import Fault

LAST_LOOP: Final = 2**19  # at which a game ends
# Abilities of a unit command.
STOP: Final = 4
MOVE: Final = 16
ATTACK: Final = 23
HEAL: Final = 386

VERSION: Final = "4.10.0.75689"
DATA_VERSION: Final = "B89B5D6FA7CBF6452E721311BFBC6CB2"
BUILD: Final = 75689
_DRAWN: Final = {"32x32_flat": "terran_5_vs_5"}  # which of SMACv2's scenarios the game of their map plays

_LAUNCHED: Final = sc2api_pb2.launched
_INIT_GAME: Final = sc2api_pb2.init_game
_IN_GAME: Final = sc2api_pb2.in_game
_ENDED: Final = sc2api_pb2.ended
_ALWAYS: Final = (_LAUNCHED, _INIT_GAME, _IN_GAME, _ENDED)
_VALID_IN: Final = {
    "ping": _ALWAYS,
    "create_game": (_LAUNCHED, _IN_GAME, _ENDED),
    "join_game": (_INIT_GAME,),
    "game_info": (_IN_GAME,),
    "observation": (_IN_GAME, _ENDED),
    "action": (_IN_GAME,),
    "step": (_IN_GAME,),
    "debug": (_IN_GAME,),
    "save_replay": (_IN_GAME, _ENDED),
}


class RequestError(Exception):
    """A request that is answered by an error and changes nothing."""


class Game:
    """A game between requests."""

    def __init__(
        self, faults: Sequence[Fault], received: Callable[[str], None], come_about: Callable[[Fault], None]
    ) -> None:
        """Be as after the launch.

        `received` is told each request's name before the request is served; `come_about` is given the crash, the hang
        or the slowness that is due at it.
        """
        self.status = _LAUNCHED
        self._faults = faults
        self._received = received
        self._come_about = come_about
        self._counts: Counter[str] = Counter()
        self._map_name = ""
        self._seed = 0
        self._loop = 0
        self._players: list[Any] = []
        self._battles: Battles | None = None

    def answer(self, data: bytes) -> bytes | None:
        """Return the Response to a Request, both as bytes; None to `quit`, which is not answered."""
        response = sc2api_pb2.Response()
        name = ""
        try:
            try:
                request = sc2api_pb2.Request.FromString(data)
            except DecodeError as error:
                raise RequestError("this is no Request") from error
            name = request.WhichOneof("request") or ""
            if request.HasField("id"):
                response.id = request.id
            if name == "create_game":
                stem = PurePosixPath(request.create_game.local_map.map_path).stem
                self._map_name = _DRAWN.get(stem, stem)
            self._received(name)
            self._meet_faults(name)
            if name == "quit":
                return None
            self._check(name)
            getattr(response, name).SetInParent()  # an empty answer to a request is one, too
            getattr(self, f"_{name}")(getattr(request, name), getattr(response, name))
        except RequestError as error:
            if name:
                response.ClearField(name)  # type: ignore[arg-type]
            response.error.append(str(error))
        response.status = self.status
        return response.SerializeToString()

    def _meet_faults(self, name: str) -> None:
        number = self._counts[name]
        self._counts[name] += 1
        for fault in self._faults:
            if fault.comes_at(name, number, self._map_name):
                if fault.what == "error":
                    raise RequestError(fault.words)
                self._come_about(fault)

    def _check(self, name: str) -> None:
        """Raise RequestError for a request that the stand-in does not know, or not in this state."""
        if name not in _VALID_IN:
            raise RequestError(f"the stand-in does not know the request {name!r}")
        if self.status == _ENDED and name in ("action", "step"):
            raise RequestError("Game has already ended")  # in these words, which pysc2 looks for
        if self.status not in _VALID_IN[name]:
            raise RequestError(f"{name} cannot be served in the state {sc2api_pb2.Status.Name(self.status)}")

    @property
    def _now(self) -> Battles:
        assert self._battles is not None, "a game that was joined has battles"
        return self._battles

    def _ping(self, _: sc2api_pb2.RequestPing, response: sc2api_pb2.ResponsePing) -> None:
        response.game_version = VERSION
        response.data_version = DATA_VERSION
        response.data_build = BUILD
        response.base_build = BUILD

    def _create_game(self, request: sc2api_pb2.RequestCreateGame, response: sc2api_pb2.ResponseCreateGame) -> None:
        error = None
        if not request.HasField("local_map"):
            error, details = sc2api_pb2.ResponseCreateGame.MissingMap, "expected a local_map"
        elif self._map_name not in map_names():
            error, details = sc2api_pb2.ResponseCreateGame.InvalidMapPath, f"no map of SMAC's: {self._map_name!r}"
        elif sc2api_pb2.Participant not in [player.type for player in request.player_setup]:
            error, details = sc2api_pb2.ResponseCreateGame.MissingPlayerSetup, "expected a participant"
        if error is not None:
            response.error, response.error_details = error, details
            return
        self._players = list(request.player_setup)
        self._seed = request.random_seed if request.HasField("random_seed") else int.from_bytes(os.urandom(4), "little")
        self.status = _INIT_GAME

    def _join_game(self, request: sc2api_pb2.RequestJoinGame, response: sc2api_pb2.ResponseJoinGame) -> None:
        if not request.options.raw:
            response.error = sc2api_pb2.ResponseJoinGame.MissingOptions
            response.error_details = "expected the raw interface"
            return
        faults = [fault for fault in self._faults if fault.hits(self._map_name)]
        late_units = max((fault.units for fault in faults if fault.what == "late-units"), default=0)
        self._battles = Battles(self._map_name, self._seed, late_units)
        self._loop = max((fault.loops for fault in faults if fault.what == "age"), default=0)
        self.status = _IN_GAME
        response.player_id = ALLY

    def _game_info(self, _: sc2api_pb2.RequestGameInfo, response: sc2api_pb2.ResponseGameInfo) -> None:
        facts = self._now.facts
        height, width = facts.pathable.shape
        response.map_name = self._map_name
        response.local_map_path = f"SMAC_Maps/{self._map_name}.SC2Map"
        for player_id, player in enumerate(self._players, start=1):
            response.player_info.add(player_id=player_id, type=player.type, race_requested=player.race)
        response.options.raw = True
        raw = response.start_raw
        raw.map_size.x, raw.map_size.y = width, height
        raw.playable_area.p1.x, raw.playable_area.p1.y = width, height
        raw.playable_area.p0.x = raw.playable_area.p0.y = 0
        bits = np.packbits(facts.pathable)  # the first of eight cells is the most significant bit
        _write_image(raw.pathing_grid, bits, 1, width, height)
        _write_image(raw.placement_grid, bits, 1, width, height)
        _write_image(raw.terrain_height, facts.heights, 8, width, height)

    def _observation(self, _: sc2api_pb2.RequestObservation, response: sc2api_pb2.ResponseObservation) -> None:
        response.observation.game_loop = self._loop
        response.observation.player_common.player_id = ALLY
        for unit in self._now.seen_units():
            _write_unit(response.observation.raw_data.units.add(), unit)
        if self.status == _ENDED:
            for player_id in (ALLY, ENEMY):
                response.player_result.add(player_id=player_id, result=sc2api_pb2.Tie)

    def _action(self, request: sc2api_pb2.RequestAction, response: sc2api_pb2.ResponseAction) -> None:
        for action in request.actions:
            command = action.action_raw.unit_command
            result = "Success" if command.unit_tags else "NotSupported"
            for tag in command.unit_tags:
                try:
                    self._command(tag, command)
                except OrderError as error:
                    result = str(error)
            response.result.append(error_pb2.ActionResult.Value(result))

    def _command(self, tag: int, command: raw_pb2.ActionRawUnitCommand) -> None:
        """Give one unit the order of a command. Raises OrderError."""
        target = command.WhichOneof("target")
        if command.queue_command:
            raise OrderError("NotSupported")
        if command.ability_id == STOP:
            self._now.stop(tag)
        elif command.ability_id == MOVE and target == "target_world_space_pos":
            self._now.move(tag, command.target_world_space_pos.x, command.target_world_space_pos.y)
        elif command.ability_id == ATTACK and target == "target_unit_tag":
            self._now.attack(tag, command.target_unit_tag)
        elif command.ability_id == HEAL and target == "target_unit_tag":
            self._now.heal(tag, command.target_unit_tag)
        else:
            raise OrderError("NotSupported")

    def _step(self, request: sc2api_pb2.RequestStep, response: sc2api_pb2.ResponseStep) -> None:
        loops = min(request.count, LAST_LOOP - self._loop)
        self._now.advance(loops)
        self._loop += loops
        response.simulation_loop = self._loop
        if self._loop == LAST_LOOP:
            self.status = _ENDED

    def _debug(self, request: sc2api_pb2.RequestDebug, _: sc2api_pb2.ResponseDebug) -> None:
        for command in request.debug:
            if command.WhichOneof("command") != "kill_unit":
                raise RequestError(f"the stand-in does not know the command {command.WhichOneof('command')!r}")
            self._now.kill(set(command.kill_unit.tag))

    def _save_replay(self, _: sc2api_pb2.RequestSaveReplay, response: sc2api_pb2.ResponseSaveReplay) -> None:
        response.data = f"a replay of {self._map_name} up to game loop {self._loop}".encode()


def _write_image(
    image: common_pb2.ImageData, data: NDArray[np.uint8], bits_per_pixel: int, width: int, height: int
) -> None:
    """Fill an image with the rows of `data`, which begin in the south."""
    image.bits_per_pixel = bits_per_pixel
    image.size.x, image.size.y = width, height
    image.data = data.tobytes()


def _write_unit(written: raw_pb2.Unit, unit: SeenUnit) -> None:
    written.display_type = raw_pb2.Visible
    written.alliance = raw_pb2.Self if unit.owner == ALLY else raw_pb2.Enemy
    written.tag = unit.tag
    written.unit_type = unit.unit_type
    written.owner = unit.owner
    written.pos.x, written.pos.y, written.pos.z = unit.x, unit.y, 0.0
    written.radius = unit.radius
    written.build_progress = 1.0
    written.is_flying = unit.flies
    written.health, written.health_max = unit.health, unit.health_max
    written.shield, written.shield_max = unit.shield, unit.shield_max
    written.energy, written.energy_max = unit.energy, unit.energy_max
    written.weapon_cooldown = unit.weapon_cooldown
