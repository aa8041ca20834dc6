"""Devices that begin a round before its message comes, over a real env proxy: what they learn does not depend on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import grpc
import numpy as np
import pytest

import client.ahead
from client.messages import Reply, Request, Tensors, reply_from, request_to
from client.player import MemberPlayer
from client.resident import AgentService
from envproxy.arena import Arena
from envproxy.backend import create_backend
from envproxy.hosting import HostedArena
from envproxy.tokens import keep_tokens, token_path
from operations.members import Member
from operations.protocol import PROTOCOL
from operations.simulator import SIMULATOR
from pps_qmix.configuration import default_config
from strategies.messages import DESCRIBE, TRAIN, WEIGHTS
from tests.serving import served
from tests.waiting import WAIT_LIMIT, wait_for

SEATS, BATTLES = range(3), 8
CONFIG = {
    **default_config(),
    **{"run": "overlap", "run-id": "id", "protocol": PROTOCOL, "simulator": SIMULATOR, "version": "1"},
    **{"battles": 2, "batch-size": 3, "buffer-size": 40, "hidden": 8, "target-update-every": 4, "overlap": 3},
}


class Team:
    """The devices of 3m, a server that takes the mean of their weights, and the env proxy that they play at."""

    def __init__(self, address: str, tokens: Path, **config: Any) -> None:
        self._address, self._tokens = address, tokens
        self._config = {**CONFIG, **config}
        self._numbers = itertools.count(1)
        self.devices = [self._device(seat) for seat in SEATS]
        self.announced = 0  # the order that the last message announced
        self.round = self.steps = 0
        self.ask([self._question(DESCRIBE)] * 3)
        self._mean: Tensors = self.ask([self._question(WEIGHTS)] * 3)[0].tensors

    def _device(self, seat: int) -> AgentService:
        return AgentService(
            MemberPlayer(Member(0, seat), self._address, lambda arena: token_path(self._tokens, arena, seat))
        )

    def restart(self, *seats: int) -> None:
        """End the processes of these devices and start others, which take up what was kept."""
        for seat in seats:
            self.devices[seat].stop()
            self.devices[seat] = self._device(seat)

    def describe(self) -> list[int]:
        """The rounds that the devices have kept."""
        return [int(reply.values["round"]) for reply in self.ask([self._question(DESCRIBE)] * 3)]

    def wait_until_all_wait(self) -> None:
        """Return when no device can play on without a message."""
        wait_for(lambda: all(device.idle > 0.0 for device in self.devices), "devices that wait for the server")

    def play(self, *, announce: bool, order: int = 0) -> list[Reply]:
        """Play a round, by the `order` that was announced or another one, and announce the next one or not."""
        self.round += 1
        order, self.announced = order or self.announced or next(self._numbers), next(self._numbers)
        config = {"round": self.round, "steps-before": self.steps, "round-battles": BATTLES, "order": order}
        if announce:
            config |= {"next-order": self.announced, "next-battles": BATTLES}
        question = self._question(TRAIN, **config, seats=list(SEATS))
        replies = self.ask([Request(TRAIN, question.config, self._mean)] * 3)
        self.steps += int(replies[0].values["steps"])
        self._mean = {name: np.mean([reply.tensors[name] for reply in replies], axis=0) for name in self._mean}
        return replies

    def ask(self, questions: Sequence[Request]) -> list[Reply]:
        """Ask all devices at once, as messages reach them."""

        def answer(device: AgentService, question: Request) -> Reply:
            return reply_from(device.Handle(request_to(question), _Context()))  # type: ignore[arg-type]

        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(answer, self.devices, questions, timeout=WAIT_LIMIT))

    def close(self) -> None:
        for device in self.devices:
            device.stop()

    def _question(self, kind: str, **config: Any) -> Request:
        return Request(kind, {**self._config, **config})


class _Context:
    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise AssertionError(f"{code.name} {details}")


MakeTeam = Callable[..., Team]


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeTeam]:
    """Return how to make a team with a home and an env proxy of its own."""
    made: list[Team] = []
    servers = []

    def make(**config: Any) -> Team:
        folder = tmp_path / str(len(made))
        monkeypatch.setenv("PPS_HOME", str(folder))
        arena = Arena(create_backend("skirmish", "3m", 2), folder / "mixers")
        hosted = HostedArena("main", "skirmish", arena, keep_tokens(folder / "t", "main", 3), seat_timeout=WAIT_LIMIT)
        servers.append(served([hosted]))
        _, port = servers[-1].__enter__()
        made.append(Team(f"127.0.0.1:{port}", folder / "t", **config))
        return made[-1]

    yield make
    for each in made:
        each.close()
    for server in servers:
        server.__exit__(None, None, None)


def learned(replies: Sequence[Reply]) -> list[object]:
    """Everything in the replies but how long it took."""
    return [
        (
            {name: value for name, value in reply.values.items() if not name.startswith("seconds")},
            {name: tensor.tobytes() for name, tensor in reply.tensors.items()},
        )
        for reply in replies
    ]


def played_in_order(made: Team) -> list[object]:
    """Three rounds whose messages come before they begin."""
    return [learned(made.play(announce=False)) for _ in range(3)]


@pytest.mark.parametrize("mixing", ["solo", "joint"])
def test_rounds_that_begin_before_their_messages_are_the_same_rounds(team: MakeTeam, mixing: str) -> None:
    expected = played_in_order(team(mixing=mixing))
    ahead, found = team(mixing=mixing), []
    for round_ in (1, 2, 3):
        found.append(learned(ahead.play(announce=True)))
        ahead.wait_until_all_wait()
        assert ahead.describe() == [round_] * 3  # a question in between changes nothing
    assert found == expected


def test_a_round_that_was_begun_is_forgotten_when_the_server_orders_another(
    team: MakeTeam, caplog: pytest.LogCaptureFixture
) -> None:
    """As a ServerApp does that was started again."""
    expected = played_in_order(team())
    ahead = team()
    found = [learned(ahead.play(announce=True))]
    ahead.wait_until_all_wait()
    found.append(learned(ahead.play(announce=True, order=1000)))
    assert caplog.text.count("the server orders another round than 2, which was begun") == 3
    ahead.wait_until_all_wait()
    found.append(learned(ahead.play(announce=False)))
    assert found == expected


def test_devices_that_end_between_sending_and_merging_continue_from_what_they_sent(team: MakeTeam) -> None:
    expected = played_in_order(team())
    ahead = team()
    found = [learned(ahead.play(announce=True))]
    ahead.wait_until_all_wait()
    ahead.restart(*SEATS)
    found += [learned(ahead.play(announce=False)) for _ in (2, 3)]
    assert found == expected


def test_the_others_play_on_with_a_device_that_ended_between_sending_and_merging(team: MakeTeam) -> None:
    ahead = team()
    ahead.play(announce=True)
    ahead.wait_until_all_wait()
    ahead.restart(1)
    first, back, third = (reply.values for reply in ahead.play(announce=True))
    assert [(report["battles"], report["missed"]) for report in (first, third)] == [(BATTLES, 0)] * 2
    assert 0 < back["battles"] < BATTLES
    assert back["missed"] > 0
    assert [reply.values["missed"] for reply in ahead.play(announce=False)] == [0] * 3


def test_a_device_leaves_its_arena_when_no_aggregate_comes(
    team: MakeTeam, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And plays the round from its beginning when it comes at last."""
    expected = played_in_order(team())
    monkeypatch.setattr(client.ahead, "_PATIENCE", 0.0)
    ahead = team()
    found = []
    for _ in (1, 2, 3):
        found.append(learned(ahead.play(announce=True)))
        ahead.wait_until_all_wait()
    assert found == expected
    assert caplog.text.count("begins again: the server has sent nothing for 0 s") == 6


def test_nothing_is_played_ahead_at_the_run_s_end(team: MakeTeam) -> None:
    ahead = team(**{"total-steps": 10})
    ahead.play(announce=True)
    assert ahead.steps >= 10
    ahead.wait_until_all_wait()
    ahead.restart(*SEATS)  # nothing was begun: the arena is free at once
