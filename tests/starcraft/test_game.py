"""The stand-in, played by pysc2's own client as SMAC plays StarCraft II."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import websocket
from absl import flags
from pysc2 import run_configs
from pysc2.lib import protocol, remote_controller, sc_process
from pysc2.lib.remote_controller import RemoteController as Controller
from s2clientprotocol import common_pb2, debug_pb2, error_pb2, raw_pb2, sc2api_pb2

from envproxy.backends.skirmish import Skirmish, create
from envproxy.backends.skirmish.maps import FIRST_TARGET
from envproxy.backends.skirmish.policies import POLICIES
from envproxy.backends.skirmish.records import ON
from envproxy.backends.skirmish.rules.actions import NORTH, STEP_X, STEP_Y
from envproxy.maps.smac import names
from tests.starcraft.api import ATTACK, HEAL, LAST_LOOP, MOVE, STOP
from tests.starcraft.battle import battle_seed
from tests.starcraft.faults import Fault, What, write_faults
from tests.starcraft.installation import PROGRAM, end_games, make_installation
from tests.starcraft.launches import Launch, launches, record_launch
from tests.waiting import WAIT_LIMIT, wait_for

pytestmark = pytest.mark.system
Status = protocol.Status
Launcher = Callable[..., sc_process.StarcraftProcess]

if not flags.FLAGS.is_parsed():
    flags.FLAGS(["test"])


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation in which nothing goes wrong, and that pysc2 finds; its games end with the test."""
    folder = make_installation(tmp_path / "Star Craft II")
    monkeypatch.setenv("SC2PATH", str(folder))
    yield folder
    end_games(folder)


@pytest.fixture
def launch() -> Iterator[Launcher]:
    """Launch a game as SMAC does; it is closed with the test."""
    started: list[sc_process.StarcraftProcess] = []

    def launch(**options: Any) -> sc_process.StarcraftProcess:
        started.append(run_configs.get().start(want_rgb=False, **options))
        return started[-1]

    yield launch
    for process in started:
        process.close()


def create_request(map_name: str, seed: int | None = 0) -> sc2api_pb2.RequestCreateGame:
    """Return the request by which SMAC creates a game."""
    local_map = sc2api_pb2.LocalMap(map_path=f"SMAC_Maps/{map_name}.SC2Map", map_data=b"")
    request = sc2api_pb2.RequestCreateGame(local_map=local_map, realtime=False, random_seed=seed)
    request.player_setup.add(type=sc2api_pb2.Participant)
    request.player_setup.add(type=sc2api_pb2.Computer, race=common_pb2.Terran, difficulty=sc2api_pb2.VeryHard)
    return request


JOIN = sc2api_pb2.RequestJoinGame(race=common_pb2.Terran, options=sc2api_pb2.InterfaceOptions(raw=True, score=False))


def join(controller: Controller, map_name: str = "3m", seed: int | None = 0) -> None:
    controller.create_game(create_request(map_name, seed))
    controller.join_game(JOIN)


def units(controller: Controller) -> list[raw_pb2.Unit]:
    return list(controller.observe().observation.raw_data.units)


def kill(controller: Controller, tags: list[int]) -> None:
    controller.debug([debug_pb2.DebugCommand(kill_unit=debug_pb2.DebugKillUnit(tag=tags))])


def restart(controller: Controller) -> None:
    """Let the next battle begin, as SMAC does."""
    kill(controller, [unit.tag for unit in units(controller)])
    controller.step(2)


def command(tag: int, ability: int, **target: Any) -> sc2api_pb2.Action:
    order = raw_pb2.ActionRawUnitCommand(ability_id=ability, unit_tags=[tag], queue_command=False, **target)
    return sc2api_pb2.Action(action_raw=raw_pb2.ActionRaw(unit_command=order))


class Side:
    """The agents' side of one battle: it numbers units as SMAC does, and makes SMAC's orders of actions."""

    def __init__(self, controller: Controller, skirmish: Skirmish) -> None:
        self._controller = controller
        self._n_agents = skirmish.spec.n_agents
        self._heals = skirmish.facts.kinds["heal_range"][skirmish.facts.roster["kind"]] > 0.0
        shown = units(controller)
        allies = sorted((u for u in shown if u.owner == 1), key=lambda u: (u.unit_type, u.pos.x, u.pos.y))
        self._tags = [unit.tag for unit in (*allies, *(u for u in shown if u.owner == 2))]

    def order(self, actions: list[int]) -> list[int]:
        """Send the orders of SMAC's actions [N]; return what came of those that were sent."""
        shown = self.units()
        sent = [self._command(u, a, shown[u]) for u, a in enumerate(actions) if u in shown]
        return list(self._controller.actions(sc2api_pb2.RequestAction(actions=sent)).result)

    def units(self) -> dict[int, raw_pb2.Unit]:
        """Return the living, by their row in `skirmish`."""
        return {self._tags.index(unit.tag): unit for unit in units(self._controller)}

    def _command(self, u: int, action: int, unit: raw_pb2.Unit) -> sc2api_pb2.Action:
        if action >= FIRST_TARGET and self._heals[u]:
            return command(unit.tag, HEAL, target_unit_tag=self._tags[action - FIRST_TARGET])
        if action >= FIRST_TARGET:
            return command(unit.tag, ATTACK, target_unit_tag=self._tags[self._n_agents + action - FIRST_TARGET])
        if action >= NORTH:
            x = unit.pos.x + 2.0 * STEP_X[action - NORTH]
            y = unit.pos.y + 2.0 * STEP_Y[action - NORTH]
            return command(unit.tag, MOVE, target_world_space_pos=common_pb2.Point2D(x=x, y=y))
        return command(unit.tag, STOP)


def assert_same(side: Side, skirmish: Skirmish) -> None:
    """Compare what the game shows with `skirmish`'s units: exactly, but for being rounded to float32."""
    shown, rows = side.units(), skirmish.units[0]
    assert sorted(shown) == np.flatnonzero(rows["health"] > 0.0).tolist()
    for u, unit in shown.items():
        found = [unit.pos.x, unit.pos.y, unit.health, unit.shield, unit.energy, unit.weapon_cooldown]
        expected = [rows[name][u] for name in ("x", "y", "health", "shield", "energy", "cooldown")]
        np.testing.assert_array_equal(np.array(found, np.float32), np.array(expected, np.float32))


# What a game does


def test_a_game_from_launch_to_quit(installation: Path, launch: Launcher) -> None:
    controller = launch().controller
    assert controller.ping().base_build == 75689
    assert controller.status == Status.launched
    controller.create_game(create_request("2s3z"))
    assert controller.status == Status.init_game
    assert controller.join_game(JOIN).player_id == 1
    assert controller.status == Status.in_game
    assert controller.game_info().map_name == "2s3z"

    first = units(controller)
    assert [unit.owner for unit in first] == [1] * 5 + [2] * 5
    assert sorted(unit.unit_type for unit in first[:5]) == [1970, 1970, 1971, 1971, 1971]
    assert sorted(unit.unit_type for unit in first[5:]) == [73, 73, 73, 74, 74]
    assert all(unit.health == unit.health_max and unit.shield == unit.shield_max > 0 for unit in first)

    controller.step(8)
    assert controller.observe().observation.game_loop == 8
    restart(controller)
    second = units(controller)
    assert len(second) == 10
    assert not {unit.tag for unit in first} & {unit.tag for unit in second}
    assert controller.observe().observation.game_loop == 10
    assert b"2s3z" in controller.save_replay()

    [game] = launches(installation)
    assert game.is_running()
    controller.quit()
    wait_for(lambda: not game.is_running(), "the game to quit")
    assert [game.requests()[name] for name in ("create_game", "join_game", "step", "debug")] == [1, 1, 2, 1]


def test_battles_are_those_of_skirmish_with_the_same_orders(installation: Path, launch: Launcher) -> None:
    rng = np.random.default_rng(0)
    for map_name in ("3m", "2s3z", "MMM"):
        controller = launch().controller
        join(controller, map_name, seed=2**31 + 5)
        skirmish = create(map_name, 1)
        for number, policy in enumerate(("focus", "random", "nearest")):
            if number > 0:
                restart(controller)
            skirmish.reset(np.ones(1, np.bool_), np.array([battle_seed(2**31 + 5, number)]))
            side = Side(controller, skirmish)
            assert_same(side, skirmish)
            while skirmish.progress["phase"][0] == ON:
                actions = POLICIES[policy](skirmish, skirmish.observe(), rng)
                side.order(actions[0].tolist())
                skirmish.step(actions)
                controller.step(8)
                assert_same(side, skirmish)


def test_a_game_without_a_seed_is_like_no_other(installation: Path, launch: Launcher) -> None:
    places = []
    controller = launch().controller
    for _ in range(2):
        join(controller, seed=None)
        places.append([(unit.pos.x, unit.pos.y) for unit in units(controller)])
    assert places[0] != places[1]


def test_an_attack_that_the_weapon_cannot_carry_out_is_rejected(installation: Path, launch: Launcher) -> None:
    controller = launch().controller
    join(controller, "MMM")
    marauder = min(units(controller), key=lambda unit: (unit.owner, unit.unit_type))
    [medivac] = [unit for unit in units(controller) if unit.owner == 2 and unit.is_flying]
    [friend, *_] = [unit for unit in units(controller) if unit.owner == 1 and unit.tag != marauder.tag]
    orders = [
        command(marauder.tag, ATTACK, target_unit_tag=medivac.tag),
        command(marauder.tag, ATTACK, target_unit_tag=friend.tag),
        command(marauder.tag, ATTACK, target_unit_tag=1),
        command(marauder.tag, HEAL, target_unit_tag=friend.tag),
        command(medivac.tag, STOP),
        command(marauder.tag, 999),
        command(marauder.tag, STOP),
    ]
    results = controller.actions(sc2api_pb2.RequestAction(actions=orders)).result
    assert [error_pb2.ActionResult.Name(result) for result in results] == [
        "CantTargetAirUnits",
        "CantTargetFriendlyUnits",
        "CantTargetThatUnit",
        "NotSupported",
        "NotSupported",
        "NotSupported",
        "Success",
    ]


def test_half_an_army_killed_is_not_replaced(installation: Path, launch: Launcher) -> None:
    controller = launch().controller
    join(controller)
    kill(controller, [unit.tag for unit in units(controller) if unit.owner == 2])
    controller.step(2)
    assert [unit.owner for unit in units(controller)] == [1, 1, 1]


@pytest.mark.parametrize("map_name", ["2c_vs_64zg", "corridor"])
def test_the_map_is_shown_row_by_row_from_the_south(installation: Path, launch: Launcher, map_name: str) -> None:
    controller = launch().controller
    join(controller, map_name)
    raw = controller.game_info().start_raw
    assert (raw.map_size.x, raw.map_size.y) == (32, 32)
    area = raw.playable_area
    assert (area.p0.x, area.p0.y, area.p1.x, area.p1.y) == (0, 0, 32, 32)
    facts = create(map_name, 1).facts
    assert raw.pathing_grid.bits_per_pixel == 1
    rows = np.frombuffer(raw.pathing_grid.data, np.uint8).reshape(32, 4)
    bits = [[row[x // 8] >> (7 - x % 8) & 1 for x in range(32)] for row in rows]
    np.testing.assert_array_equal(bits, facts.pathable)
    np.testing.assert_array_equal(np.frombuffer(raw.terrain_height.data, np.uint8).reshape(32, 32), facts.heights)


def test_maps_are_found_by_name_and_empty(installation: Path) -> None:
    config = run_configs.get()
    assert len(names()) == 23
    assert {config.map_data(f"SMAC_Maps/{name}.SC2Map") for name in names()} == {b""}
    with pytest.raises(ValueError, match="not found"):
        config.map_data("SMAC_Maps/4m.SC2Map")


def test_an_unknown_map_is_an_error_of_create_game(installation: Path, launch: Launcher) -> None:
    controller = launch().controller
    with pytest.raises(remote_controller.RequestError, match="InvalidMapPath"):
        controller.create_game(create_request("4m"))
    assert controller.status == Status.launched


def test_a_version_that_was_named_is_launched_with_its_data(installation: Path) -> None:
    with run_configs.get(version="4.10").start(want_rgb=False) as controller:
        controller.ping()
        [game] = launches(installation)
        assert game.arguments[-2:] == ("-dataVersion", "B89B5D6FA7CBF6452E721311BFBC6CB2")


def test_the_client_may_have_been_given_another_python(
    installation: Path, launch: Launcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    join(launch().controller)


# The protocol below pysc2


class Wire:
    """A client that sends what it likes."""

    def __init__(self, process: sc_process.StarcraftProcess) -> None:
        self._socket = websocket.create_connection(f"ws://127.0.0.1:{process.port}/sc2api", timeout=WAIT_LIMIT)

    def ask(self, data: bytes | sc2api_pb2.Request) -> sc2api_pb2.Response:
        self._socket.send(data if isinstance(data, bytes) else data.SerializeToString())
        return sc2api_pb2.Response.FromString(self.answer())

    def answer(self) -> bytes:
        opcode, answer = self._socket.recv_data()
        assert opcode == websocket.ABNF.OPCODE_BINARY
        return bytes(answer)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def wire(installation: Path, launch: Launcher) -> Iterator[Wire]:
    process = launch(connect=False)
    wait_for(lambda: _listens(process.port), "the game to listen")
    wire = Wire(process)
    yield wire
    wire.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_requests_in_text_frames_are_answered(wire: Wire) -> None:
    request = sc2api_pb2.Request(create_game=create_request("3m", seed=0xFFFFFFFF), id=77)
    with pytest.raises(UnicodeDecodeError):
        request.SerializeToString().decode()
    response = wire.ask(request)
    assert (response.id, response.status) == (77, sc2api_pb2.init_game)
    assert response.HasField("create_game")


def test_a_request_out_of_turn_changes_nothing(wire: Wire) -> None:
    request = sc2api_pb2.Request
    for early in (
        request(join_game=JOIN),
        request(step=sc2api_pb2.RequestStep(count=1)),
        request(observation=sc2api_pb2.RequestObservation()),
    ):
        response = wire.ask(early)
        assert response.status == sc2api_pb2.launched
        assert "in the state launched" in response.error[0]
    assert "does not know" in wire.ask(request(available_maps=sc2api_pb2.RequestAvailableMaps())).error[0]
    assert "no Request" in wire.ask(b"\xff\xff").error[0]
    assert not wire.ask(request(ping=sc2api_pb2.RequestPing())).error


def test_a_game_ends_when_its_client_has_gone(installation: Path, wire: Wire) -> None:
    [game] = launches(installation)
    wire.close()
    wait_for(lambda: not game.is_running(), "the game to end")


def test_a_game_ends_on_sigterm(installation: Path, wire: Wire) -> None:
    [game] = launches(installation)
    os.kill(game.pid, signal.SIGTERM)
    wait_for(lambda: not game.is_running(), "the game to end")


def test_there_is_one_client_and_one_path(installation: Path, wire: Wire) -> None:
    [game] = launches(installation)
    port = game.arguments[game.arguments.index("-port") + 1]
    for path, status in (("/sc2api", 503), ("/", 404)):
        with pytest.raises(websocket.WebSocketBadStatusException) as error:
            websocket.create_connection(f"ws://127.0.0.1:{port}{path}", timeout=WAIT_LIMIT)
        assert error.value.status_code == status
    assert not wire.ask(sc2api_pb2.Request(ping=sc2api_pb2.RequestPing())).error


# What goes wrong


def test_a_crash_comes_at_the_request_that_was_named(
    installation: Path, launch: Launcher, capfd: pytest.CaptureFixture[str]
) -> None:
    write_faults(installation, [Fault("crash", number=2, words="Assertion failed: unit")])
    controller = launch().controller
    join(controller)
    controller.step(8)
    controller.step(8)
    with pytest.raises(protocol.ConnectionError):
        controller.step(8)
    assert "Assertion failed: unit" in capfd.readouterr().err
    [game] = launches(installation)
    wait_for(lambda: not game.is_running(), "the game to crash")
    assert game.requests()["step"] == 3


@pytest.mark.parametrize("at", ["launch", "create_game", "join_game", "observation"])
def test_a_crash_may_come_at_other_requests(installation: Path, launch: Launcher, at: str) -> None:
    write_faults(installation, [Fault("crash", at=at)])
    with pytest.raises((remote_controller.ConnectError, protocol.ConnectionError)):
        _play_a_little(launch)


def _play_a_little(launch: Launcher) -> None:
    controller = launch(timeout_seconds=60).controller
    join(controller)
    units(controller)


def test_a_fault_hits_the_launches_and_the_map_that_it_names(installation: Path, launch: Launcher) -> None:
    write_faults(
        installation,
        [Fault("error", launches=(1, 2), map="8m", words="broken"), Fault("error", launches=(3,), words="broken")],
    )
    broken = []
    for map_name in ("8m", "8m", "3m", "3m"):
        process = launch()
        join(process.controller, map_name)
        try:
            process.controller.step(8)
            broken.append(False)
        except protocol.ProtocolError:
            broken.append(True)
        process.close()
    assert broken == [False, True, False, True]


def test_an_error_is_the_answer_to_one_request(installation: Path, launch: Launcher) -> None:
    write_faults(installation, [Fault("error", number=1, words="out of luck")])
    controller = launch().controller
    join(controller)
    controller.step(8)
    with pytest.raises(protocol.ProtocolError, match="out of luck"):
        controller.step(8)
    controller.step(8)
    assert controller.observe().observation.game_loop == 16


def test_a_game_that_hangs_answers_nothing_more(installation: Path, launch: Launcher) -> None:
    write_faults(installation, [Fault("hang", number=1)])
    controller = launch().controller
    join(controller)
    controller.step(8)
    controller._client._sock.settimeout(1.0)  # pysc2 waits as long as for the launch
    with pytest.raises(protocol.ConnectionError, match="timed out"):
        controller.step(8)
    [game] = launches(installation)
    assert game.is_running()


@pytest.mark.parametrize("what", ["never-listens", "hang"])
def test_a_game_may_never_listen(installation: Path, launch: Launcher, what: What) -> None:
    write_faults(installation, [Fault(what, at="launch")])
    with pytest.raises(remote_controller.ConnectError):
        launch(timeout_seconds=3)
    assert len(launches(installation)) == 1


def test_a_game_may_exit_at_its_start(installation: Path, launch: Launcher, capfd: pytest.CaptureFixture[str]) -> None:
    words = "SC2_x64: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.99' not found"
    write_faults(installation, [Fault("exit-at-start", words=words)])
    with pytest.raises(remote_controller.ConnectError):
        launch(timeout_seconds=60)
    assert words in capfd.readouterr().err


def test_late_units_come_with_the_next_loop_and_change_nothing_else(installation: Path, launch: Launcher) -> None:
    write_faults(installation, [Fault("late-units", map="3m", units=2)])
    controller = launch().controller
    join(controller)
    skirmish = create("3m", 1)
    for number in range(2):
        assert [unit.owner for unit in units(controller)] == [1, 2]
        controller.step(1)
        skirmish.reset(np.ones(1, np.bool_), np.array([battle_seed(0, number)]))
        side = Side(controller, skirmish)
        assert_same(side, skirmish)
        controller.step(8)
        skirmish.step(np.ones((1, 3), np.uint8))
        assert_same(side, skirmish)
        restart(controller)


def test_a_game_ends_at_its_last_loop(installation: Path, launch: Launcher) -> None:
    write_faults(installation, [Fault("age", loops=LAST_LOOP - 12)])
    controller = launch().controller
    join(controller)
    controller.step(8)
    assert controller.status == Status.in_game
    controller.step(8)
    assert controller.status == Status.ended
    seen = controller.observe()
    assert seen.observation.game_loop == LAST_LOOP
    assert [result.result for result in seen.player_result] == [sc2api_pb2.Tie] * 2
    with pytest.raises(protocol.ProtocolError):  # pysc2 does not even ask
        controller.step(8)
    controller.save_replay()
    join(controller)
    assert controller.status == Status.in_game


def test_a_slow_game_is_a_whole_one(installation: Path, launch: Launcher) -> None:
    write_faults(installation, [Fault("slow", at="launch", seconds=0.2), Fault("slow", seconds=0.01)])
    controller = launch().controller
    join(controller)
    controller.step(8)
    assert controller.observe().observation.game_loop == 8


def test_a_game_may_have_to_be_killed(installation: Path, launch: Launcher) -> None:
    write_faults(installation, [Fault("ignores-sigterm"), Fault("hang", at="create_game")])
    process = launch(connect=False)
    [game] = wait_for(lambda: launches(installation), "the launch")
    wait_for(lambda: _listens(process.port), "the game to listen")
    os.kill(game.pid, signal.SIGTERM)
    with pytest.raises(psutil.TimeoutExpired):
        psutil.Process(game.pid).wait(0.5)
    end_games(installation)
    wait_for(lambda: not game.is_running(), "the game to end")


def test_faults_that_could_not_come_about_are_refused() -> None:
    wrong: list[dict[str, Any]] = [
        {"what": "tired"},
        {"what": "never-listens", "map": "3m"},
        {"what": "crash", "at": "launch", "map": "3m"},
        {"what": "error"},
        {"what": "late-units"},
    ]
    for fault in wrong:
        with pytest.raises(ValueError, match=r"fault|map|error|late"):
            Fault(**fault)


# Launches


def test_launches_that_come_at_once_have_different_numbers(installation: Path) -> None:
    write_faults(installation, [Fault("exit-at-start")])
    arguments = ["-listen", "127.0.0.1", "-port", "1", "-dataDir", f"{installation}/", "-tempDir", f"{installation}/"]
    started = [subprocess.Popen([installation / PROGRAM, *arguments]) for _ in range(4)]
    assert [process.wait(WAIT_LIMIT) for process in started] == [1] * 4
    found = launches(installation)
    assert [game.number for game in found] == [0, 1, 2, 3]
    assert {game.pid for game in found} == {process.pid for process in started}
    assert not any(game.is_running() for game in found)


def test_a_launch_is_this_process_and_no_later_one_of_its_number(tmp_path: Path) -> None:
    game = record_launch(tmp_path, [])
    assert game.is_running()
    assert not Launch(0, game.pid, psutil.Process().create_time() - 60.0, (), tmp_path).is_running()
    assert game.requests() == {}
    assert launches(tmp_path) == [game]
