"""Joint mixing over sockets: what travels, that it comes to what it comes to in process, and seats that drop out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from client import seat_session
from client.agent import Agent
from client.play import Round, RoundReport, advance, play_round
from client.seat_session import SeatSession
from envproxy import battle_pb2 as pb
from envproxy.arena import Arena
from envproxy.protocol import ArenaEvent, MixBatch, MixGradient
from envproxy.transport import open_channel
from learning.learner import TakenStep
from learning.settings import Base
from tests.client.joint_team import E, N, Told, agents, order, play
from tests.envproxy.conftest import Proxy
from tests.envproxy.drill import Parade
from tests.waiting import WAIT_LIMIT


def play_over_sockets(proxy: Proxy, rounds: list[Round]) -> list[RoundReport]:
    sessions = [SeatSession(proxy.address, "main", seat, f"main-{seat}") for seat in range(N)]
    with ThreadPoolExecutor(N) as pool:
        playing = [pool.submit(s.play, round_) for s, round_ in zip(sessions, rounds, strict=True)]
        reports = [future.result(WAIT_LIMIT) for future in playing]
    for session in sessions:
        session.close()
    return reports


def weights(team: list[Agent]) -> list[bytes]:
    return [tensor.tobytes() for agent in team for tensor in agent.learner.tensors().values()]


@pytest.mark.parametrize("base", ["vdn", "qmix"])
def test_the_weights_are_those_of_the_in_process_runtime(
    proxies: Callable[..., Proxy], tmp_path: Path, base: Base
) -> None:
    arena = Told()
    here = agents(tmp_path / "here", arena, base)
    initial = weights(here)
    known = play(arena, here, order(base))
    there = agents(tmp_path / "there", arena, base)
    reports = play_over_sockets(
        proxies({"main": Arena(Parade(E, N))}), [play_round(agent, order(base)) for agent in there]
    )
    assert [report.training_steps for report in reports] == [20] * N
    assert weights(there) == weights(here)
    assert weights(here) != initial
    assert [report.train_metrics for report in reports] == [report.train_metrics for report in known]


def test_no_observation_no_action_history_and_no_weight_leaves_a_seat_and_no_state_reaches_it(
    proxies: Callable[..., Proxy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every message that goes over the sockets, by its fields and their sizes."""
    listener = Listener()
    monkeypatch.setattr(seat_session, "open_channel", lambda *to: grpc.intercept_channel(open_channel(*to), listener))
    arena = Arena(Parade(E, N))
    team = agents(tmp_path, arena, "qmix")
    play_over_sockets(proxies({"main": arena}), [play_round(agent, order("qmix")) for agent in team])

    said, heard = listener.said, listener.heard
    kinds = [message.WhichOneof("message") for message in said]
    assert kinds.count("mix_utilities") == kinds.count("mix_norm") == 20 * N
    assert set(kinds) == {"join", "act", "mix_utilities", "mix_norm"}
    for message in said:
        if message.HasField("act"):
            assert len(message.act.actions) == E  # what the units do now
        elif message.HasField("mix_utilities"):
            utilities = message.mix_utilities
            assert names(utilities) == {"step", "steps", "battles", "chosen", "bootstrap"}
            assert len(utilities.chosen) == len(utilities.bootstrap) == 4 * utilities.steps * utilities.battles
        elif message.HasField("mix_norm"):
            assert names(message.mix_norm) == {"step", "squared"}

    spec = arena.spec
    for answer in heard:
        match answer.WhichOneof("message"):
            case "tick":
                assert names(answer.tick) <= {
                    "tick", "steps", "observations", "available", "rewards", "ended", "battles"
                }  # fmt: skip
                assert len(answer.tick.observations) == 4 * E * spec.obs_size
            case "mix_batch":
                assert names(answer.mix_batch) == {"step", "battles"}
                assert len(answer.mix_batch.battles) == 8 * 4  # ids of the batch's battles
            case "mix_gradient":
                gradient = answer.mix_gradient
                assert names(gradient) == {"step", "steps", "battles", "gradient"}
                assert len(gradient.gradient) == 4 * gradient.steps * gradient.battles
            case "mix_scale":
                assert names(answer.mix_scale) <= {"step", "scale", "loss", "q_mean", "td_error_abs", "grad_norm"}
            case other:
                assert other in ("seated", "phase_end")


class Listener(grpc.StreamStreamClientInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Hears what goes through the channels of seats."""

    def __init__(self) -> None:
        self.said: list[pb.SeatMessage] = []
        self.heard: list[pb.ArenaMessage] = []

    def intercept_stream_stream(self, continuation: Any, details: Any, messages: Iterator[pb.SeatMessage]) -> Any:
        return Overheard(continuation(details, self._hearing(messages)), self.heard)

    def _hearing(self, messages: Iterator[pb.SeatMessage]) -> Iterator[pb.SeatMessage]:
        for message in messages:
            self.said.append(pb.SeatMessage.FromString(message.SerializeToString()))
            yield message


class Overheard:
    """A call whose answers are noted."""

    def __init__(self, call: Any, heard: list[pb.ArenaMessage]) -> None:
        self.cancel = call.cancel
        self._call, self._heard = call, heard

    def __next__(self) -> pb.ArenaMessage:
        self._heard.append(next(self._call))
        return self._heard[-1]


def names(message: Any) -> set[str]:
    return {field.name for field, _ in message.ListFields()}


def pausing(round_: Round, kind: type[ArenaEvent], reached: threading.Event, go_on: threading.Event) -> Round:
    """The round, which waits before it answers its first event of a kind."""
    answer = advance(round_, None)
    while not isinstance(answer, RoundReport):
        event = yield answer
        assert not isinstance(event, TakenStep)
        if isinstance(event, kind) and not reached.is_set():
            reached.set()
            assert go_on.wait(WAIT_LIMIT)
        answer = advance(round_, event)
    return answer


@pytest.mark.parametrize("kind", [MixBatch, MixGradient])
def test_a_seat_that_sleeps_in_a_step_costs_one_batch(
    proxies: Callable[..., Proxy], tmp_path: Path, kind: type[ArenaEvent]
) -> None:
    arena = Arena(Parade(E, N))
    proxy = proxies({"main": arena})
    team = agents(tmp_path, arena, "qmix")
    rounds = [play_round(agent, order("qmix")) for agent in team]
    reached, go_on = threading.Event(), threading.Event()
    rounds[1] = pausing(rounds[1], kind, reached, go_on)

    def hold() -> None:
        assert reached.wait(WAIT_LIMIT)
        proxy.hold(1)
        go_on.set()

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        reports = play_over_sockets(proxy, rounds)
        holding.result(WAIT_LIMIT)
    first, sleeper, last = reports
    assert first.training_steps == last.training_steps == 19
    assert 0 < sleeper.training_steps <= 19
    assert sleeper.missed > 0
    assert first.missed == last.missed == 0
    assert all(np.isfinite(tensor).all() for agent in team for tensor in agent.learner.tensors().values())


def test_a_seat_that_restarts_in_mid_round_trains_once_it_has_a_batch(
    proxies: Callable[..., Proxy], tmp_path: Path
) -> None:
    """Its agent process died and came back with what the round before had left, here nothing."""
    arena = Arena(Parade(E, N))
    proxy = proxies({"main": arena})
    told = order("qmix", battles=40)
    rounds = [play_round(agent, told) for agent in agents(tmp_path / "a", arena, "qmix")]
    reached, go_on = threading.Event(), threading.Event()
    go_on.set()
    died = pausing(rounds[2], MixGradient, reached, go_on)
    again = agents(tmp_path / "b", arena, "qmix")[2]

    def play_twice() -> RoundReport:
        session = SeatSession(proxy.address, "main", 2, "main-2")
        with ThreadPoolExecutor(1) as pool:
            playing = pool.submit(session.play, died)
            assert reached.wait(WAIT_LIMIT)
            session.stop()
            with pytest.raises(seat_session.SeatSessionError):
                playing.result(WAIT_LIMIT)
        session.allow()
        return session.play(play_round(again, told))

    with ThreadPoolExecutor(N) as pool:
        sessions = [SeatSession(proxy.address, "main", seat, f"main-{seat}") for seat in (0, 1)]
        playing = [pool.submit(s.play, round_) for s, round_ in zip(sessions, rounds[:2], strict=True)]
        back = pool.submit(play_twice).result(WAIT_LIMIT)
        reports = [future.result(WAIT_LIMIT) for future in playing]
    assert back.training_steps > 0
    assert back.battles < 40
    assert all(report.training_steps >= back.training_steps for report in reports)  # it takes all to train
    assert {report.standing for report in reports} == {back.standing}
