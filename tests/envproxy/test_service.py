"""The env proxy as it is met over sockets: who is let in, who is refused, and that nobody else suffers from it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from client import seat_session
from client.agent import Agent
from client.device import DeviceDirectory
from client.plan import RoundOrder
from client.play import Round, RoundReport, advance, play_round
from client.seat_session import SeatSession, SeatSessionError
from envproxy import battle_pb2 as pb
from envproxy import battle_pb2_grpc, service, strangers
from envproxy.arena import Arena
from envproxy.backend import BackendFailedError, create_backend
from envproxy.calls import SeatCall
from envproxy.protocol import Seated, Standing, Tick
from envproxy.rules import Rules
from envproxy.server import MAX_SEAT_MESSAGE
from learning.learner import TakenStep
from learning.settings import SeatSpec
from operations.listening import Reservation
from operations.protocol import PROTOCOL
from tests.envproxy.conftest import PLAY, Client, Proxy, bare, play_out, play_tick
from tests.envproxy.drill import LIMIT, Drill, Driver, collect, drawn, eager, legal_round
from tests.learning.toy import settings
from tests.waiting import WAIT_LIMIT, wait_for

Code = grpc.StatusCode
COLLECT = pb.PHASE_KIND_COLLECT


def drill_of(seats: int = 3) -> Arena:
    return Arena(Drill(2, seats, lambda _: 3))


# --- describe -------------------------------------------------------------------------------------------------


def test_an_arena_describes_itself(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    client = proxy.client(0)
    assert client.description == pb.ArenaDescription(
        arena="main",
        map="drill",
        backend="drill",
        protocol=PROTOCOL,
        simulator=0,  # another backend
        version=version("pps-qmix"),
        battles=2,
        n_agents=3,
        n_actions=3,
        obs_size=4,
        state_size=1,
        episode_limit=LIMIT,
    )
    team = proxy.team(collect(battles=4, round_=3))
    play_tick(team)
    described = proxy.client(0).description
    assert (described.round, described.steps) == (3, 2)


def test_an_arena_tells_its_rules(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies(rules=Rules(step_mul=4))
    assert proxy.client(0).description.rules == "step-mul=4"


def test_an_arena_that_is_not_there_is_not_found_and_those_that_are_are_named(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies({"b": drill_of(), "a": drill_of()})
    with grpc.insecure_channel(proxy.address) as channel:
        stub = battle_pb2_grpc.BattleServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError) as refused:
            stub.Describe(pb.DescribeRequest(arena="c"))
    assert refused.value.code() is Code.NOT_FOUND
    assert refused.value.details() == "unknown arena 'c'; served here: a, b"


# --- the door -------------------------------------------------------------------------------------------------


def _call_as(**changes: object) -> Callable[[Client], object]:
    return lambda client: client.call_as(**changes).join()


AT_THE_DOOR = {
    "unknown arena": (_call_as(arena="x"), Code.NOT_FOUND, "unknown arena 'x'; served here: main"),
    "wrong token": (_call_as(token="no"), Code.UNAUTHENTICATED, "not the token of seat 1 of arena 'main'"),
    "no token": (_call_as(token=""), Code.UNAUTHENTICATED, "not the token of seat 1"),
    "token of another seat": (_call_as(token="main-2"), Code.UNAUTHENTICATED, "not the token of seat 1"),
    "no such seat": (_call_as(seat=3), Code.INVALID_ARGUMENT, "has seats 0..2; seat 3 does not exist"),
    "far-off seat": (_call_as(seat=999_999_999), Code.INVALID_ARGUMENT, "has seats 0..2"),
    "seat that is no number": (_call_as(seat="0x1"), Code.UNAUTHENTICATED, "names arena, seat, protocol and token"),
    "seat without end": (_call_as(seat="9" * 4000), Code.UNAUTHENTICATED, "names arena, seat, protocol and token"),
    "no arena": (_call_as(arena=""), Code.UNAUTHENTICATED, "names arena, seat, protocol and token"),
    "taken seat": (lambda c: c.join(), Code.ALREADY_EXISTS, "seat 1 of arena 'main' is taken"),
    "other protocol": (
        _call_as(protocol=PROTOCOL + 1, version="0.0.1"),
        Code.FAILED_PRECONDITION,
        f"seat 1 speaks protocol {PROTOCOL + 1} (pps-qmix 0.0.1); install versions of the same protocol on both",
    ),
    "no protocol": (_call_as(protocol="", version=""), Code.FAILED_PRECONDITION, "seat 1 speaks protocol unknown; "),
    "protocol that is no number": (_call_as(protocol="1.0"), Code.FAILED_PRECONDITION, "protocol unknown"),
    "act first": (lambda c: c.act(b"", tick=1), Code.INVALID_ARGUMENT, "a stream begins with Join"),
    "propose first": (lambda c: c.propose(collect(battles=1)), Code.INVALID_ARGUMENT, "a stream begins with Join"),
    "empty message": (lambda c: c.send_bytes(b""), Code.INVALID_ARGUMENT, "a stream begins with Join"),
    "no message": (lambda c: c.hang_up(), Code.INVALID_ARGUMENT, "a stream begins with Join"),
    "garbage": (lambda c: c.send_bytes(b"\xff" * 9), Code.INVALID_ARGUMENT, "a stream begins with Join"),
    "too long": (lambda c: c.send_bytes(bytes(MAX_SEAT_MESSAGE + 1)), Code.RESOURCE_EXHAUSTED, "larger than max"),
}


@pytest.mark.parametrize("fault", AT_THE_DOOR)
def test_a_refused_call_does_not_disturb_the_others(proxies: Callable[..., Proxy], fault: str) -> None:
    proxy = proxies()  # nobody is ever held here: whoever were waited for would hang the test
    do, code, words = AT_THE_DOOR[fault]
    team = proxy.team()
    play_tick(team)
    intruder = proxy.client(1)
    do(intruder)
    found = intruder.refusal()
    assert found[0] is code
    assert words in found[1]
    assert [(end.battles, end.missed) for end in play_out(team)] == [(4, 0)] * 3


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (pb.Phase(kind=COLLECT), "seat 1: a phase needs a bound"),
        (pb.Phase(battles=1), r"seat 1: phase kind 0; expected 1 (collect) or 2 (evaluate)"),
        (
            pb.Phase(kind=COLLECT, battles=1, standing=pb.Standing(steps=2**64 - 1)),
            "seat 1: a phase with standing.steps",
        ),
        (
            pb.Phase(kind=COLLECT, battles=2**32 - 1),
            "seat 1: a phase with battles 4294967295; expected 0..1048574",
        ),
        (
            pb.Phase(kind=COLLECT, battles=1, seats=[0, 3]),
            "seat 1: a phase that names seat 3; expected 0..2",
        ),
        (
            pb.Phase(kind=COLLECT, battles=1, seats=[0, 0]),
            "seat 1: a phase that names 2 seats; expected up to 1024, each",
        ),
    ],
)
def test_an_impossible_phase_is_refused_and_the_seat_is_free_again(
    proxies: Callable[..., Proxy], phase: pb.Phase, words: str
) -> None:
    proxy = proxies()
    others = [proxy.client(seat).join() for seat in (0, 2)]
    code, found = proxy.client(1).join(phase=phase).refusal()
    assert code is Code.INVALID_ARGUMENT
    assert words in found
    team = [proxy.client(1).join(), *others]
    for client in team:
        client.hear(2)
    assert [end.missed for end in play_out(team)] == [0, 0, 0]


def test_streams_that_say_nothing_are_cut_off_and_shut_no_team_out(
    proxies: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "JOIN_TIMEOUT", 0.05)
    proxy = proxies({"main": drill_of(), "other": drill_of()})
    with grpc.insecure_channel(proxy.address) as channel:
        play = bare(channel).stream_stream(PLAY)
        never = threading.Event()
        admitted = SeatCall("other", 0, "other-0").metadata()
        idle = [play(iter(never.wait, True), metadata=admitted) for _ in range(40)]
        team = proxy.team()
        assert [end.missed for end in play_out(team)] == [0, 0, 0]
        assert {call.code() for call in idle} == {Code.DEADLINE_EXCEEDED}
        never.set()


def test_streams_without_a_token_are_refused_before_they_say_anything(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    with grpc.insecure_channel(proxy.address) as channel:
        play = bare(channel).stream_stream(PLAY)
        never = threading.Event()
        idle = [play(iter(never.wait, True)) for _ in range(30)]
        assert {call.code() for call in idle} == {Code.UNAUTHENTICATED}
        never.set()
    assert proxy.server.counters().refused == {"no-token": 30}


def test_calls_without_a_token_wait_for_their_turn_and_those_with_one_do_not(
    proxies: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "LONGEST_WAIT", 60.0)
    monkeypatch.setattr(strangers, "RATE", 0.1)  # one in ten seconds
    monkeypatch.setattr(strangers, "BURST", 2)
    proxy = proxies()
    with grpc.insecure_channel(proxy.address) as channel:
        stub = battle_pb2_grpc.BattleServiceStub(channel)  # type: ignore[no-untyped-call]
        asked = [stub.Describe.future(pb.DescribeRequest(arena="main")) for _ in range(5)]
        team = proxy.team()
        assert [end.missed for end in play_out(team)] == [0, 0, 0]
        assert sum(future.done() for future in asked) < 5
        for future in asked:
            future.cancel()


def test_too_many_calls_without_a_token_are_refused(
    proxies: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(strangers, "RATE", 0.001)
    monkeypatch.setattr(strangers, "BURST", 1)
    proxy = proxies()
    with grpc.insecure_channel(proxy.address) as channel:
        stub = battle_pb2_grpc.BattleServiceStub(channel)  # type: ignore[no-untyped-call]
        asked = [stub.Describe.future(pb.DescribeRequest(arena="main")) for _ in range(5)]
        codes = sorted((future.code() for future in asked), key=lambda code: code.value)
    assert codes[0] is Code.OK
    assert Code.RESOURCE_EXHAUSTED in codes
    assert proxy.server.counters().refused["too-many-calls"] == codes.count(Code.RESOURCE_EXHAUSTED)


# --- faults of those who are in -------------------------------------------------------------------------------


def _stop(client: Client) -> bytes:
    return eager(client.tick).tobytes()


FAULTS: dict[str, tuple[Callable[[Client], object], tuple[grpc.StatusCode, str] | None]] = {
    "unavailable": (
        lambda c: c.act(b"\x02\x00"),
        (Code.INVALID_ARGUMENT, "seat 1: action 0 is not available in slot 1 (battle 4294967298, tick 2); "),
    ),
    "no such action": (lambda c: c.act(b"\xff\x02"), (Code.INVALID_ARGUMENT, "available: 1, 2")),
    "too few": (lambda c: c.act(b"\x02"), (Code.INVALID_ARGUMENT, "seat 1: 1 bytes of actions; expected 2")),
    "too many": (lambda c: c.act(b"\x02" * 3), (Code.INVALID_ARGUMENT, "seat 1: 3 bytes of actions; expected 2")),
    "none": (lambda c: c.act(b""), (Code.INVALID_ARGUMENT, "seat 1: 0 bytes of actions; expected 2")),
    "past tick": (lambda c: c.act(_stop(c), 1), (Code.INVALID_ARGUMENT, "seat 1: an answer to tick 1; expected one")),
    "future tick": (lambda c: c.act(_stop(c), 9), (Code.INVALID_ARGUMENT, "seat 1: an answer to tick 9; expected one")),
    "impossible tick": (lambda c: c.act(_stop(c), 2**64 - 1), (Code.INVALID_ARGUMENT, "expected one to tick 2")),
    "second join": (lambda c: c.join(), (Code.INVALID_ARGUMENT, "seat 1: join; expected act or propose")),
    "empty": (lambda c: c.send_bytes(b""), (Code.INVALID_ARGUMENT, "seat 1: an empty message; expected act or")),
    "endless phase": (lambda c: c.propose(collect()), (Code.INVALID_ARGUMENT, "seat 1: a phase needs a bound")),
    "older round": (
        lambda c: c.propose(collect(battles=1, round_=0)),
        (Code.FAILED_PRECONDITION, "this round is over: the arena plays round 1"),
    ),
    "garbage": (lambda c: c.send_bytes(b"\xff" * 9), (Code.INVALID_ARGUMENT, "an empty message")),
    "too long": (lambda c: c.act(bytes(MAX_SEAT_MESSAGE)), (Code.RESOURCE_EXHAUSTED, "larger than max")),
    "hung up": (lambda c: c.hang_up(), (Code.OK, "")),
    "cancelled": (lambda c: c.call.cancel(), (Code.CANCELLED, "")),
    "killed": (lambda c: c.channel.close(), None),
    "silent": (lambda c: None, None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_seat_is_told_why_and_the_others_play_on(proxies: Callable[..., Proxy], fault: str) -> None:
    proxy = proxies()
    do, refusal = FAULTS[fault]
    team = proxy.team(collect(battles=6))
    play_tick(team)
    others = [team[0], team[2]]
    do(team[1])
    if refusal is not None:
        code, words = team[1].refusal()
        assert code is refusal[0]
        assert refusal[1] in words
    for client in others:
        client.act(eager(client.tick))
    proxy.hold(1)
    for client in others:
        client.hear()
    ends = play_out(others)  # and nobody waits for seat 1 any more
    assert [(end.battles, end.missed) for end in ends] == [(6, 0)] * 2
    rewards = [float(tick.rewards[0]) for tick in others[0].heard if isinstance(tick, Tick)]
    assert rewards[1:3] == [6.0, 3.0]  # all salute; then seat 0 has fallen and seat 1 is held: it stops


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "silent"])
def test_a_faulty_seat_may_join_again(proxies: Callable[..., Proxy], fault: str) -> None:
    proxy = proxies()  # nobody is held: the others wait until it is back
    team = proxy.team(collect(battles=6))
    play_tick(team)
    FAULTS[fault][0](team[1])
    if FAULTS[fault][1] is not None:
        team[1].refusal()
    back = proxy.rejoin(1)
    assert back.heard == [Seated(collect(battles=6))]
    for client in (team[0], team[2]):
        client.act(eager(client.tick))
    for client in (team[0], team[2], back):
        client.hear()
    ends = play_out([back, team[0], team[2]])
    assert [end.missed for end in ends] == [2, 0, 0]


def test_other_seats_are_not_awaited_beyond_the_seat_timeout(proxies: Callable[..., Proxy]) -> None:
    alone = proxies(seat_timeout=0.05).client(1).join(collect(battles=6))
    alone.hear(2)
    assert [(end.battles, end.missed) for end in play_out([alone])] == [(6, 0)]


def test_a_silent_seat_that_answers_again_continues_at_the_next_battle(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    team = proxy.team(collect(battles=6))
    for client in (team[0], team[2]):
        client.act(eager(client.tick))
    proxy.hold(1)
    for client in (team[0], team[2]):
        client.hear()
    team[1].act(eager(team[1].tick))
    proxy.until_awaited(0, 2)
    play_tick([team[0], team[2]])
    team[1].hear()
    assert team[1].tick.tick == 3
    assert not team[1].tick.battles.any()
    assert [end.missed for end in play_out(team)] == [0, 2, 0]


def test_a_phase_that_all_others_have_left_is_given_up_and_a_sleeper_is_told(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    team = proxy.team(collect(battles=6))
    for client in (team[0], team[2]):
        client.act(eager(client.tick))
    proxy.hold(1)
    for client in (team[0], team[2]):
        client.hang_up()
        client.refusal()
    team[1].act(eager(team[1].tick))
    code, words = team[1].refusal()
    assert code is Code.ABORTED
    assert "the phase was given up" in words


def test_a_newer_round_ends_the_wait_for_an_older_one(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    waits = proxy.client(0).join(collect(battles=1, round_=4))
    # seat 0's proposal is there once the seat is taken
    assert proxy.client(0).join(collect(battles=1, round_=4)).refusal()[0] is Code.ALREADY_EXISTS
    for seat in (1, 2):  # two of three
        proxy.client(seat).join(collect(battles=1, round_=5))
    assert waits.refusal() == (Code.FAILED_PRECONDITION, "seat 0: this round is over: the arena plays round 5")


def test_an_unnamed_seat_is_not_awaited_and_may_join(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()  # nobody is ever held here
    phase = collect(battles=6, seats=[0, 2])
    team = [proxy.client(seat).join(phase) for seat in (0, 2)]
    for client in team:
        client.hear(2)
    play_tick(team)
    back = proxy.client(1).join(phase)
    back.hear()
    play_tick(team)
    back.hear()
    assert [end.missed for end in play_out([*team, back])] == [0, 0, 2]
    assert proxy.hosted[0].counters().held == (0, 0, 0)


def test_a_newer_round_begins_when_the_last_seat_of_the_older_one_leaves(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    team = proxy.team(collect(battles=6))
    newer = collect(battles=2, round_=2, seats=[0, 2])
    for client in (team[0], team[2]):
        client.propose(newer)
    proxy.until_awaited(1)
    team[1].hang_up()
    for client in (team[0], team[2]):
        client.hear(2)
    assert [end.missed for end in play_out([team[0], team[2]])] == [0, 0]


def test_a_seat_that_plays_for_time_is_held_for_the_rest_of_the_round(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies(seat_budget=0.2)  # and a seat-timeout that does not end while this test runs
    team = proxy.team(collect(battles=6))
    for client in (team[0], team[2]):
        client.act(eager(client.tick))
    for client in (team[0], team[2]):
        client.hear()  # the budget of seat 1 is used up
    team[1].act(eager(team[1].tick))
    code, words = team[1].refusal()
    assert code is Code.RESOURCE_EXHAUSTED
    assert "the others have waited for this seat for 0.2 s in round 1; it may play again in the next round" in words
    assert proxy.client(1).join(collect(battles=6)).refusal()[0] is Code.RESOURCE_EXHAUSTED
    assert [(end.battles, end.missed) for end in play_out([team[0], team[2]])] == [(6, 0)] * 2
    assert proxy.server.counters().arenas[0].held == (0, 1, 0)
    assert proxy.server.counters().refused == {"seat-budget": 2}
    newer = collect(battles=2, round_=2)
    back = proxy.client(1).join(newer)
    proxy.until_awaited(0, 2)
    back_team = [team[0], back, team[2]]
    for client in (team[0], team[2]):
        client.propose(newer)
    for client in back_team:
        client.hear(2)
    assert [end.missed for end in play_out(back_team)] == [0, 0, 0]


# --- what is played -------------------------------------------------------------------------------------------


def test_over_sockets_a_seat_hears_what_it_hears_of_an_arena_called_directly(proxies: Callable[..., Proxy]) -> None:
    """And so it sees its own observation and no other, as the arena's test has it."""
    phase = collect(battles=4)
    direct = Driver(Arena(create_backend("skirmish", "3m", 2)), drawn)
    direct.gather(phase)
    direct.play_out()
    team = proxies({"main": Arena(create_backend("skirmish", "3m", 2))}).team(phase)
    play_out(team, drawn)
    for client in team:
        heard, expected = client.heard, direct.heard[client.seat]
        assert [type(event) for event in heard] == [type(event) for event in expected]
        for event, same in zip(heard, expected, strict=True):
            if isinstance(event, Tick):
                for field in vars(event):
                    np.testing.assert_array_equal(getattr(event, field), getattr(same, field))
            else:
                assert event == same


def test_a_stream_plays_phase_after_phase(proxies: Callable[..., Proxy]) -> None:
    team = proxies().team(collect(battles=2))
    standing = play_out(team)[0].standing
    for client in team:
        client.propose(collect(battles=2, standing=standing))
    for client in team:
        client.hear(2)
    assert play_out(team)[0].standing == Standing(2, 4, 12, 0)


def test_arenas_of_one_proxy_do_not_disturb_each_other(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies({"a": drill_of(), "b": drill_of(2)})
    stuck = proxy.team(arena="a")
    for client in stuck[:2]:
        client.act(eager(client.tick))  # and the third is silent
    team = proxy.team(arena="b", seats=2)
    code, words = proxy.client(0, "b").call_as(token="a-0").refusal()
    assert code is Code.UNAUTHENTICATED
    assert "arena 'b'" in words
    assert [end.battles for end in play_out(team)] == [4, 4]
    stuck[2].act(eager(stuck[2].tick))
    for client in stuck:
        client.hear()
        assert client.tick.tick == 2
    assert [end.missed for end in play_out(stuck)] == [0, 0, 0]


# --- the server -----------------------------------------------------------------------------------------------


def test_a_port_in_use_is_an_error(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    with pytest.raises(OSError, match=rf"cannot listen on {proxy.address}: another program uses this port"):
        Reservation("127.0.0.1", proxy.port)


# --- seat sessions --------------------------------------------------------------------------------------------

ORDER = RoundOrder(
    seed=7, round=1, steps_before=0, total_steps=10_000, battles=30, evaluate_every=60, evaluate_battles=2,
    learning_rate=5e-4,
)  # fmt: skip


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat_session, "_PAUSE", 0.05)


def session(proxy: Proxy, seat: int) -> SeatSession:
    return SeatSession(proxy.address, "main", seat, f"main-{seat}")


def agent(folder: Path, seat: int) -> Agent:
    directory = DeviceDirectory(folder, "run", "id", seat)
    directory.make()
    spec = SeatSpec(seat=seat, n_agents=3, obs_size=4, n_actions=3, episode_limit=LIMIT)
    return Agent(spec, 2, settings(), seed=0, directory=directory)


def pausing(round_: Round, at: int, reached: threading.Event, go_on: threading.Event) -> Round:
    """The round, which waits before it answers its event number `at`."""
    answer = advance(round_, None)
    heard = 0
    while not isinstance(answer, RoundReport):
        event = yield answer
        assert not isinstance(event, TakenStep)
        heard += 1
        if heard == at:
            reached.set()
            assert go_on.wait(WAIT_LIMIT)
        answer = advance(round_, event)
    return answer


@pytest.mark.usefixtures("hasty")
def test_a_round_continues_when_the_proxy_restarts(proxies: Callable[..., Proxy], tmp_path: Path) -> None:
    proxy = proxies()
    sessions = [session(proxy, seat) for seat in range(3)]
    reached, go_on = threading.Event(), threading.Event()
    rounds = [play_round(agent(tmp_path, seat), ORDER) for seat in range(3)]
    rounds[0] = pausing(rounds[0], 20, reached, go_on)
    with ThreadPoolExecutor(3) as pool:
        playing = [pool.submit(s.play, round_) for s, round_ in zip(sessions, rounds, strict=True)]
        assert reached.wait(WAIT_LIMIT)
        proxy.close()
        proxies(port=proxy.port)
        go_on.set()
        reports = [future.result(WAIT_LIMIT) for future in playing]
    for s in sessions:
        s.close()
    standings = {report.standing for report in reports}
    assert len(standings) == 1
    standing = standings.pop()
    assert standing.battles >= ORDER.battles
    assert standing.steps >= 3 * standing.battles  # those of the battles that were lost count, too
    for report in reports:
        assert 0 < report.battles <= standing.battles
        assert len(report.evaluations) == standing.evaluations
        assert report.training_steps > 0


@pytest.mark.usefixtures("hasty")
def test_a_seat_that_slept_while_its_phase_was_given_up_plays_the_round_to_its_end(
    proxies: Callable[..., Proxy],
) -> None:
    proxy = proxies()
    reached, go_on = threading.Event(), threading.Event()
    sleeper = session(proxy, 0)
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(sleeper.play, pausing(legal_round(6), 2, reached, go_on))
        others = [proxy.client(seat).join(collect(battles=6)) for seat in (1, 2)]
        for client in others:
            client.hear(2)
        assert reached.wait(WAIT_LIMIT)
        for client in others:
            client.act(eager(client.tick))
        proxy.hold(0)
        for client in others:
            client.hang_up()
            client.refusal()
        go_on.set()
        proxy.hold(1, 2)  # now it waits for the others, who do not come back
        report = playing.result(WAIT_LIMIT)
    sleeper.close()
    assert report.missed == 1
    assert report.standing == Standing(2, 6, 18, 0)


@pytest.mark.usefixtures("hasty")
def test_a_seat_that_is_still_taken_is_tried_again_and_nothing_counts_as_lost(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies({"main": drill_of(1)})
    before = proxy.client(0).join(collect(battles=2))
    before.hear(2)
    own = session(proxy, 0)
    refused = threading.Event()
    own_check = own._check_lost

    def check(error: grpc.RpcError) -> None:
        own_check(error)
        refused.set()

    own._check_lost = check  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(own.play, legal_round(2))
        assert refused.wait(WAIT_LIMIT)
        before.close()
        report = playing.result(WAIT_LIMIT)
    own.close()
    assert report.missed == 0
    assert report.standing == Standing(1, 2, 6, 0)


def test_a_session_tells_why_the_proxy_refuses_it(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies()
    wrong = SeatSession(proxy.address, "main", 0, "wrong")
    with pytest.raises(SeatSessionError, match=r"not the token of seat 0 .*\[UNAUTHENTICATED\]"):
        wrong.play(legal_round(2))
    unknown = SeatSession(proxy.address, "nowhere", 0, "main-0")
    with pytest.raises(SeatSessionError, match="unknown arena 'nowhere'; served here: main"):
        unknown.describe()
    wrong.close()
    unknown.close()


def test_a_session_tells_where_no_proxy_answers(proxies: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat_session, "_DESCRIBE_TIMEOUT", 0.2)
    proxy = proxies()
    own = session(proxy, 0)
    proxy.close()
    with pytest.raises(SeatSessionError, match=f"no env proxy answers at {proxy.address}"):
        own.describe()
    own.close()


@pytest.mark.usefixtures("hasty")
def test_a_proxy_that_stays_away_ends_the_round(proxies: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat_session, "_PATIENCE", {Code.UNAVAILABLE: 0.0, Code.CANCELLED: 0.0})
    proxy = proxies()
    own = session(proxy, 0)
    own.describe()
    proxy.close()
    with pytest.raises(SeatSessionError, match=f"no env proxy answers at {proxy.address}"):
        own.play(legal_round(2))
    own.close()


@pytest.mark.usefixtures("hasty")
def test_a_proxy_that_hangs_is_waited_for(
    proxies: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(seat_session, "_DESCRIBE_TIMEOUT", 0.1)
    proxy = proxies({"main": drill_of(1)})
    own = session(proxy, 0)
    own.describe()
    hangs, may_move = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        may_move.wait(WAIT_LIMIT)

    proxy.server._loop.call_soon_threadsafe(hang)
    assert hangs.wait(WAIT_LIMIT)
    with ThreadPoolExecutor(1) as pool:
        describing = pool.submit(own.describe)
        wait_for(lambda: caplog.text.count("Deadline Exceeded; calling again") >= 3, "three calls in vain", every=0.01)
        may_move.set()
        assert describing.result(WAIT_LIMIT).map == "drill"
    assert own.play(legal_round(2)).standing.battles == 2
    own.close()


def test_a_proxy_that_hangs_is_told_from_one_that_is_not_there(
    proxies: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_session, "_DESCRIBE_TIMEOUT", 0.2)
    proxy = proxies({"main": drill_of(1)})
    own = session(proxy, 0)
    may_move = threading.Event()
    proxy.server._loop.call_soon_threadsafe(may_move.wait, 60)
    with pytest.raises(SeatSessionError, match=f"{proxy.address} takes connections but does not answer"):
        own.describe()
    may_move.set()
    own.close()


@pytest.mark.usefixtures("hasty")
def test_a_round_can_be_stopped_and_the_session_plays_the_next(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies({"main": drill_of(1)})
    own = session(proxy, 0)
    reached, go_on = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(own.play, pausing(legal_round(2), 2, reached, go_on))
        assert reached.wait(WAIT_LIMIT)
        own.stop()
        go_on.set()
        with pytest.raises(SeatSessionError, match="stopped: the server has ordered another round"):
            playing.result(WAIT_LIMIT)
    with pytest.raises(SeatSessionError, match="stopped"):
        own.play(legal_round(2))
    own.allow()
    assert own.play(legal_round(2)).standing.battles == 2
    own.close()


def test_a_restarted_proxy_of_another_map_is_noticed(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies({"main": drill_of(1)})
    own = session(proxy, 0)
    own.describe()
    proxy.close()
    proxies({"main": Arena(Drill(3, 1))}, port=proxy.port)
    with pytest.raises(SeatSessionError, match="sent a bad message: tick 1 does not have the sizes of arena 'main'"):
        own.play(legal_round(2))
    own.close()


class Unable(Drill):
    """A drill that cannot begin."""

    def reset(self, mask: NDArray[np.bool_], seeds: NDArray[np.uint64]) -> None:
        raise BackendFailedError("StarCraft II did not start: no licence")


def test_a_seat_does_not_retry_when_the_backend_cannot_play(proxies: Callable[..., Proxy]) -> None:
    proxy = proxies({"main": Arena(Unable(1, 2))})
    clients = [proxy.client(seat).join(collect(battles=1)) for seat in (0, 1)]
    for seat, client in enumerate(clients):
        assert client.refusal() == (grpc.StatusCode.INTERNAL, f"seat {seat}: StarCraft II did not start: no licence")
