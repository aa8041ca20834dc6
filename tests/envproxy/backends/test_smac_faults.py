"""What fails on StarCraft II's side, what an arena is told of it, and that nothing is left behind."""

import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from envproxy.backend import BackendFailedError, Observation, StepResult
from envproxy.backends.smac import SmacBattles, create
from envproxy.rules import Rules
from tests.starcraft.faults import Fault, write_faults
from tests.starcraft.host import Host, battle_host
from tests.starcraft.launches import launches
from tests.waiting import WAIT_LIMIT, wait_for

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[3]
MakeHost = Callable[..., Host]
Make = Callable[..., SmacBattles]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHost]:
    """Return how to set up the machine with its faults; in the end nothing of the backend may be left on it."""
    with ExitStack() as stack:

        def make(*faults: Fault, **options: Any) -> Host:
            return stack.enter_context(battle_host(tmp_path, monkeypatch, faults=faults, maps=["3m"], **options))

        yield make


@pytest.fixture
def battles(host: MakeHost) -> Iterator[Make]:
    """Return how to make E battles of 3m; they are closed in the end, before the host looks for what is left."""
    made: list[SmacBattles] = []

    def make(count: int = 2, options: str = "", rules: str = "") -> SmacBattles:
        made.append(create("3m", count, Rules.parse(rules), options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def reset(arena: SmacBattles, *slots: int) -> Observation:
    """Begin a battle in these slots, or in all."""
    mask = np.zeros(arena.battles, np.bool_)
    mask[list(slots) or slice(None)] = True
    arena.reset(mask, np.arange(1, 1 + arena.battles).astype(np.uint64))
    return arena.observe()


def stop(arena: SmacBattles) -> StepResult:
    """Let all that live stop."""
    available = arena.observe().available
    return arena.step(np.where(available[..., 1], 1, 0).astype(np.uint8))


def play_out(arena: SmacBattles, slot: int = 0) -> StepResult:
    """Play until the battle of a slot is over; return its last step."""
    while True:
        result = stop(arena)
        if result.terminated[slot] or result.truncated[slot]:
            return result


def assert_void(result: StepResult, slots: list[int]) -> None:
    expected = np.isin(np.arange(len(result.void)), slots)
    np.testing.assert_array_equal(result.void, expected)
    np.testing.assert_array_equal(result.truncated, expected)
    assert not result.terminated.any()
    assert not result.won.any()
    assert not result.reward[expected].any()


# --- a step that fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("crash", launches=(0,), number=3, words="assertion failed: pathing"), "assertion failed: pathing"),
        (Fault("error", launches=(0,), number=3, words="this game cannot step"), "this game cannot step"),
        (Fault("hang", launches=(0,), number=3), "no answer in time"),
    ],
    ids=lambda value: value.what if isinstance(value, Fault) else "",
)
def test_a_battle_whose_game_fails_is_void_and_the_next_one_has_another_game(
    fault: Fault, said: str, host: MakeHost, battles: Make, caplog: pytest.LogCaptureFixture
) -> None:
    machine = host(fault)
    arena = battles(2, "step-timeout=10")
    reset(arena, 0)  # launch 0: the game that fails
    reset(arena, 1)
    for _ in range(3):
        assert not stop(arena).void.any()
    before = arena.observe()
    assert_void(stop(arena), [0])
    after = arena.observe()
    for last, shown in zip(before, after, strict=True):
        np.testing.assert_array_equal(last[0], shown[0])  # its last observation
    assert (before.state[1] != after.state[1]).any(), "the other one has played on"
    assert arena.restarts == 1
    assert said in caplog.text
    assert "Traceback" not in caplog.text
    assert not stop(arena).void.any(), "an ended slot is not asked"
    reset(arena, 0)
    assert machine.launched == 3
    assert not stop(arena).void.any()
    assert arena.restarts == 1


def test_games_that_fail_in_the_same_step_are_all_void(host: MakeHost, battles: Make) -> None:
    host(Fault("crash", launches=(0, 1), number=1))
    arena = battles(3)
    reset(arena)
    stop(arena)
    result = stop(arena)
    assert result.void.sum() == 2
    assert_void(result, np.flatnonzero(result.void).tolist())
    assert arena.restarts == 2
    reset(arena, *np.flatnonzero(result.void).tolist())
    assert not stop(arena).void.any()


def test_a_hanging_game_costs_the_others_no_more_than_the_deadline(host: MakeHost, battles: Make) -> None:
    host(Fault("hang", launches=(0,), number=1), Fault("ignores-sigterm"))
    arena = battles(3, "step-timeout=10")
    reset(arena, 0)
    reset(arena, 1, 2)
    stop(arena)
    assert_void(stop(arena), [0])


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("victim", ["keeper", "worker", "game"])
def test_who_is_killed_takes_the_others_along(victim: str, host: MakeHost, battles: Make) -> None:
    machine = host()
    arena = battles(1)
    reset(arena)
    stop(arena)
    keeper = psutil.Process(arena.pids()[0])
    (worker,) = keeper.children()
    (game,) = worker.children()
    {"keeper": keeper, "worker": worker, "game": game}[victim].kill()
    wait_for(lambda: has_ended(game), "the end of the game")  # until then a step may still be played
    assert_void(stop(arena), [0])
    reset(arena)
    assert not stop(arena).void.any()
    assert machine.launched == 2


def test_a_game_that_fails_between_two_battles_is_replaced(host: MakeHost, battles: Make) -> None:
    machine = host(Fault("crash", launches=(0,), at="debug"))  # SMAC's way to the next battle
    arena = battles(1)
    reset(arena)
    assert play_out(arena).terminated[0]
    reset(arena)
    assert not stop(arena).void.any()
    assert (machine.launched, arena.restarts) == (2, 1)


def test_battles_that_a_slot_loses_in_a_row_end_the_phase(host: MakeHost, battles: Make) -> None:
    host(Fault("crash", number=0, words="out of memory"))
    arena = battles(1)
    for _ in range(3):
        reset(arena)
        assert_void(stop(arena), [0])
    with pytest.raises(BackendFailedError, match="slot 0 failed in 3 battles in a row"):
        reset(arena)
    write_faults(launches(Path(os.environ["SC2PATH"]))[0].folder, [])
    reset(arena)  # of a phase that is tried again
    assert not stop(arena).void.any()


def test_a_phase_that_is_tried_again_may_lose_battles_in_every_slot(host: MakeHost, battles: Make) -> None:
    machine = host(Fault("crash", number=0))
    arena = battles(2)
    for _ in range(3):
        reset(arena)
        assert_void(stop(arena), [0, 1])
    with pytest.raises(BackendFailedError, match="in 3 battles in a row"):
        reset(arena)
    write_faults(machine.installation, [])
    reset(arena)
    assert not stop(arena).void.any()


def test_the_last_words_of_a_long_log_are_its_last(
    host: MakeHost, battles: Make, caplog: pytest.LogCaptureFixture
) -> None:
    machine = host(Fault("crash", number=1, words="\nassertion failed"))
    arena = battles(1)
    reset(arena)
    stop(arena)
    (log,) = machine.temporary.glob("pps-qmix*/log")
    os.truncate(log, 2**40)  # more than there is memory for, and no disk is used
    assert_void(stop(arena), [0])
    assert "assertion failed" in caplog.text


# --- a start that fails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "limit", "said"),
    [
        (Fault("exit-at-start", words="version `GLIBC_2.99' not found"), 60, "GLIBC_2.99"),
        (Fault("never-listens"), 2, "no answer in time"),
        (Fault("crash", at="create_game", words="no such archive"), 60, "no such archive"),
        (Fault("hang", at="join_game"), 2, "no answer in time"),
        (Fault("error", at="create_game", words="the map is broken"), 60, "the map is broken"),
    ],
    ids=lambda value: f"{value.what}-{value.at}" if isinstance(value, Fault) else "",
)
def test_three_failed_starts_in_a_row_end_the_phase_with_one_line(
    fault: Fault, limit: int, said: str, host: MakeHost, battles: Make
) -> None:
    machine = host(fault)
    arena = battles(1, f"start-timeout={limit}")
    with pytest.raises(BackendFailedError, match="StarCraft II did not start, 3 times in a row") as failed:
        reset(arena)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)
    assert machine.launched <= 3  # one that is slow to start is killed before it is counted
    machine.check_nothing_is_left()


def test_a_phase_that_is_tried_again_has_its_three_starts(host: MakeHost, battles: Make) -> None:
    machine = host(Fault("exit-at-start"))
    arena = battles(1)
    with pytest.raises(BackendFailedError):
        reset(arena)
    write_faults(machine.installation, [])
    reset(arena)
    assert not stop(arena).void.any()


def test_a_start_that_fails_once_is_tried_again(host: MakeHost, battles: Make) -> None:
    machine = host(Fault("crash", launches=(0, 1), at="ping"))
    arena = battles(1)
    reset(arena)
    assert not stop(arena).void.any()
    assert machine.launched == 3


def test_a_worker_that_does_not_take_its_orders_is_a_failed_start(
    host: MakeHost, battles: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = host()

    def refuse(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("envproxy.backends.smac.game.send", refuse)
    before = psutil.Process().children()
    with pytest.raises(BackendFailedError, match="the worker ended"):
        reset(battles(1))
    assert psutil.Process().children() == before
    machine.check_nothing_is_left()


def test_a_program_with_many_open_files_can_start_games(host: MakeHost, battles: Make) -> None:
    host()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip(f"this machine allows {hard} open files")
    arena = battles(1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    try:
        reset(arena)
        assert not stop(arena).void.any()
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_no_temporary_file_can_be_is_said(host: MakeHost, battles: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = host()
    arena = battles(1)
    arena.prepare()
    gone = machine.temporary / "gone"
    monkeypatch.setattr(tempfile, "tempdir", str(gone))
    with pytest.raises(BackendFailedError, match=f"cannot start a worker: No such file or directory: {gone}"):
        reset(arena)


def test_failed_starts_of_many_slots_end_the_phase_as_soon_as_three_have_failed(host: MakeHost, battles: Make) -> None:
    machine = host(Fault("exit-at-start", words="licence not accepted"))
    with pytest.raises(BackendFailedError, match="licence not accepted"):
        reset(battles(8))
    assert machine.launched <= 3 + len(os.sched_getaffinity(0))


# --- planned replacements ---------------------------------------------------------------------------------------------


def test_a_game_is_replaced_before_it_would_end_by_itself(host: MakeHost, battles: Make) -> None:
    machine = host(Fault("age", launches=(0,), loops=2**19 - 60 * 8 - 100))
    arena = battles(1)
    reset(arena)
    assert not play_out(arena).void.any(), "one more battle fits in"
    reset(arena)
    assert not play_out(arena).void.any()
    assert (machine.launched, arena.restarts) == (2, 0)


def test_a_game_that_ends_by_itself_in_a_battle_makes_it_void(host: MakeHost, battles: Make) -> None:
    host(Fault("age", launches=(0,), loops=2**19 - 20))
    arena = battles(1)
    reset(arena)
    assert play_out(arena).void[0]


def test_a_game_that_has_grown_is_replaced_after_its_battle(host: MakeHost, battles: Make) -> None:
    machine = host()
    arena = battles(1, "memory=1")
    for _ in range(2):
        reset(arena)
        assert not play_out(arena).void.any()
    assert (machine.launched, arena.restarts) == (2, 0)


def test_a_battle_that_was_left_unfinished_costs_its_game(host: MakeHost, battles: Make) -> None:
    machine = host()
    arena = battles(1)
    reset(arena)
    stop(arena)
    reset(arena)
    assert machine.launched == 2
    reset(arena)
    assert machine.launched == 2, "a battle that was never stepped is as good as another"


def test_late_units_do_not_change_what_is_paid(host: MakeHost, battles: Make) -> None:
    host(Fault("late-units", units=2))
    arena = battles(1)
    reset(arena)
    rng = np.random.default_rng(0)
    paid: list[float] = []
    while True:
        available = arena.observe().available
        attacks = available.copy()
        attacks[..., 1:6] &= ~available[..., 6:].any(-1, keepdims=True)  # attack when something is in reach
        result = arena.step((rng.random(attacks.shape) * attacks).argmax(-1).astype(np.uint8))
        paid.append(float(result.reward[0]))
        if result.terminated[0] or result.truncated[0]:
            break
    hits = np.array([reward for reward in paid if reward]) * 365 / 20  # 3m: what a win pays
    assert hits.size
    worth = [6 * shots + 10 * deaths - missing for shots in range(20) for deaths in range(4) for missing in range(6)]
    for hit in hits:
        assert min(abs(hit - (value + won)) for value in worth for won in (0, 200)) < 1e-3


# --- the end ----------------------------------------------------------------------------------------------------------


def test_close_ends_a_game_that_does_not_listen(host: MakeHost, battles: Make) -> None:
    machine = host(Fault("hang", at="quit"), Fault("ignores-sigterm"))
    arena = battles(2, "close-timeout=1")
    reset(arena)
    arena.close()
    machine.check_nothing_is_left()
    with pytest.raises(BackendFailedError, match="closed"):
        reset(arena)


@pytest.mark.parametrize(
    "fault", [Fault("never-listens"), Fault("slow", at="launch", seconds=60.0)], ids=["never", "slow"]
)
def test_close_does_not_wait_for_a_start(fault: Fault, host: MakeHost, battles: Make) -> None:
    machine = host(fault)
    arena = battles(3)
    failed: list[BaseException] = []

    def begin() -> None:
        try:
            reset(arena)
        except BackendFailedError as error:
            failed.append(error)

    thread = threading.Thread(target=begin)
    thread.start()
    wait_for(lambda: machine.launched, "a start")
    arena.close()
    thread.join(WAIT_LIMIT)
    assert not thread.is_alive()
    assert failed
    machine.check_nothing_is_left()


def test_close_does_not_wait_for_another_arenas_starts(host: MakeHost, battles: Make) -> None:
    machine = host(Fault("never-listens"))
    cores = len(os.sched_getaffinity(0))
    one, other = battles(cores), battles(1)

    def begin(arena: SmacBattles) -> None:
        with pytest.raises(BackendFailedError, match="closed"):
            reset(arena)

    threads = [threading.Thread(target=begin, args=(arena,)) for arena in (one, other)]
    threads[0].start()
    wait_for(lambda: machine.launched == cores, "a start on every core")
    threads[1].start()
    wait_for(lambda: sum(t.name.startswith("start") for t in threading.enumerate()) > cores, "a start that waits")
    closing = threading.Thread(target=other.close)
    closing.start()
    closing.join(WAIT_LIMIT)
    assert not closing.is_alive()
    one.close()
    for thread in threads:
        thread.join(WAIT_LIMIT)
        assert not thread.is_alive()
    machine.check_nothing_is_left()


def test_close_does_not_wait_for_a_step(host: MakeHost, battles: Make) -> None:
    machine = host(Fault("hang", number=1))
    arena = battles(1, "step-timeout=3600")
    reset(arena)
    stop(arena)
    failed: list[BaseException] = []

    def play() -> None:
        try:
            stop(arena)
        except BackendFailedError as error:
            failed.append(error)

    thread = threading.Thread(target=play)
    thread.start()
    wait_for(lambda: launches(machine.installation)[0].requests()["step"] == 2, "the step that hangs")
    arena.close()
    thread.join(WAIT_LIMIT)
    assert not thread.is_alive()
    assert failed
    machine.check_nothing_is_left()


_PLAYER = """
import sys, time
import numpy as np
from envproxy.backends.smac import create
arena = create("3m", 2)
arena.reset(np.ones(2, np.bool_), np.ones(2, np.uint64))
print("playing", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("fault", "number"),
    [(None, signal.SIGKILL), (Fault("never-listens"), signal.SIGKILL), (None, signal.SIGTERM)],
    ids=["playing-SIGKILL", "starting-SIGKILL", "playing-SIGTERM"],
)
def test_nothing_outlives_a_process_that_is_killed(fault: Fault | None, number: int, host: MakeHost) -> None:
    machine = host(*([fault] if fault else []))
    with player_on(machine, fault) as player:
        os.kill(player.pid, number)
        player.wait(WAIT_LIMIT)
    machine.check_nothing_is_left()


@pytest.mark.parametrize("fault", [None, Fault("never-listens")], ids=["playing", "starting"])
def test_nothing_outlives_a_process_that_is_killed_with_its_keepers(fault: Fault | None, host: MakeHost) -> None:
    machine = host(*([fault] if fault else []))
    with player_on(machine, fault) as player:
        keepers = psutil.Process(player.pid).children()
        player.send_signal(signal.SIGSTOP)  # it must not see what becomes of them
        for keeper in keepers:
            keeper.kill()
        player.kill()
        player.wait(WAIT_LIMIT)
    machine.check_nothing_is_left()


def test_nothing_outlives_a_keeper_that_is_told_to_end_in_several_ways(host: MakeHost) -> None:
    fault = Fault("never-listens")
    machine = host(fault)
    with player_on(machine, fault) as player:
        keepers = psutil.Process(player.pid).children()
        for keeper in keepers:  # all signals are there when it runs again
            keeper.suspend()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                keeper.send_signal(number)
        player.kill()
        player.wait(WAIT_LIMIT)
        for keeper in keepers:
            keeper.resume()
    machine.check_nothing_is_left()


@contextmanager
def player_on(machine: Host, fault: Fault | None) -> Iterator[subprocess.Popen[str]]:
    """Have a process that plays, or that starts games if these have a `fault`."""
    path = os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])
    with subprocess.Popen(
        [sys.executable, "-c", _PLAYER], env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    ) as player:
        if fault is None:
            assert player.stdout is not None
            assert player.stdout.readline() == "playing\n"
        else:
            wait_for(lambda: machine.launched, "a start")
        yield player


def test_a_keeper_that_is_told_to_end_clears_up(host: MakeHost, battles: Make) -> None:
    """systemd and others tell every process of a service to end."""
    host()
    arena = battles(1)
    reset(arena)
    os.kill(arena.pids()[0], signal.SIGTERM)
    wait_for(lambda: stop(arena).void[0], "the battle to be void")


def test_another_arenas_games_play_on(host: MakeHost, battles: Make) -> None:
    host(Fault("crash", launches=(0,), number=1))
    one, other = battles(1), battles(1)
    reset(one)
    reset(other)
    stop(one)
    assert_void(stop(one), [0])
    assert not stop(other).void.any()
    assert other.restarts == 0


def test_a_worker_without_its_packages_is_told_in_a_line(
    host: MakeHost, battles: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with caplog.at_level(logging.WARNING), pytest.raises(BackendFailedError, match="has no SMAC; make an environment"):
        reset(battles(1))


def test_actions_are_checked_for_all_seats_before_any_game_is_asked(host: MakeHost, battles: Make) -> None:
    machine = host()
    arena = battles(2)
    reset(arena)
    asked = [launch.requests()["step"] for launch in launches(machine.installation)]
    with pytest.raises(ValueError, match="battle 1, seat 2: action 0 is not available; nothing was played"):
        arena.step(np.array([[1, 1, 1], [1, 1, 0]], np.uint8))
    assert [launch.requests()["step"] for launch in launches(machine.installation)] == asked


def test_sizes_start_nothing(host: MakeHost, battles: Make) -> None:
    machine = host()
    arena = battles(8)
    assert arena.spec.obs_size == 30
    arena.prepare()
    assert machine.launched == 0
    assert not machine.processes()
