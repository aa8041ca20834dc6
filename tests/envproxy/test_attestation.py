"""The env proxy counts what each seat earns as the agents do, and signs it so that the server can tell."""

from __future__ import annotations

import dataclasses
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from client.recorder import Recorder
from envproxy.attestation import attest, keep_key
from envproxy.protocol import Earned, RewardOrder, Tick
from learning.rewards import RewardBuffer
from learning.settings import RewardCredit, SeatSpec
from strategies.attestation import Attestation, UnattestedError, read_key
from tests.envproxy.conftest import Client, Proxy, play_out
from tests.envproxy.drill import LIMIT, collect, drawn, evaluate

KEY = bytes(range(32))
EARNED = Earned(RewardOrder("id", 96, "alive"), seat=1, round=7, battles=4, reward=12.5)
READER = Attestation(KEY, "id", "main", "alive", 96)


def remembered(client: Client, size: int, credit: RewardCredit) -> RewardBuffer:
    """The reward buffer of an agent that has heard what this client has."""
    spec = SeatSpec(seat=client.seat, n_agents=3, obs_size=4, n_actions=3, episode_limit=LIMIT)
    recorder, buffer = Recorder(spec, 2), RewardBuffer(size, credit)
    for tick in client.heard:
        if isinstance(tick, Tick):
            for battle in recorder.see(tick)[1]:
                buffer.add(battle)
    return buffer


@pytest.mark.parametrize("credit", ["alive", "team"])
def test_what_is_attested_is_what_an_honest_agent_counts(proxies: Callable[..., Proxy], credit: RewardCredit) -> None:
    """In battles in which seat 0 falls; more of them than are remembered, over two phases and an evaluation."""
    proxy: Proxy = proxies(attest_key=KEY)
    order = RewardOrder("id", 3, credit)
    reader = dataclasses.replace(READER, reward_credit=credit, reward_buffer=3)
    clients = proxy.team(dataclasses.replace(collect(battles=5), rewards=order))
    for end, client in zip(play_out(clients, drawn), clients, strict=True):
        buffer = remembered(client, 3, credit)
        total, battles = reader.read(end.attested, client.seat, 1)
        assert total == pytest.approx(buffer.total())
        assert battles == 3
        assert buffer.total() > 0.0
    if credit == "alive":
        assert remembered(clients[0], 3, "alive").total() < remembered(clients[0], 3, "team").total()

    before = [end.attested for end in play_out(clients, drawn)]
    standing = clients[0].end.standing
    for client in clients:
        client.propose(dataclasses.replace(evaluate(battles=2, standing=standing), rewards=order))
    for client in clients:
        client.hear(2)
    assert [end.attested for end in play_out(clients, drawn)] == before


def test_a_seat_that_was_not_there_is_credited_with_nothing_it_missed(proxies: Callable[..., Proxy]) -> None:
    proxy: Proxy = proxies(attest_key=KEY)
    phase = dataclasses.replace(collect(battles=4), rewards=RewardOrder("id", 96, "alive"))
    clients = proxy.team(phase)
    clients[1].close()
    clients[1] = proxy.rejoin(1, phase)
    for client in (clients[0], clients[2]):
        client.act(drawn(client.tick, client.seat))
    for client in clients:
        client.hear()
    ends = play_out(clients, drawn)
    assert READER.read(ends[1].attested, 1, 1)[1] < READER.read(ends[0].attested, 0, 1)[1] == 4


def test_another_run_begins_with_nothing(proxies: Callable[..., Proxy]) -> None:
    proxy: Proxy = proxies(attest_key=KEY)
    clients = proxy.team(dataclasses.replace(collect(battles=4), rewards=RewardOrder("old", 96, "alive")))
    play_out(clients, drawn)
    for client in clients:
        client.propose(dataclasses.replace(collect(battles=2, round_=2), rewards=RewardOrder("id", 96, "alive")))
    for client in clients:
        client.hear(2)
    assert READER.read(play_out(clients, drawn)[1].attested, 1, 2)[1] == 2


@pytest.mark.parametrize(("key", "order"), [(None, RewardOrder("id", 3, "alive")), (KEY, None)])
def test_nothing_is_attested_without_a_key_or_unasked(
    proxies: Callable[..., Proxy], key: bytes | None, order: RewardOrder | None
) -> None:
    clients = proxies(attest_key=key).team(dataclasses.replace(collect(battles=2), rewards=order))
    assert [end.attested for end in play_out(clients)] == ["", "", ""]


@pytest.mark.parametrize(
    "order", [RewardOrder("id", 10**6, "alive"), RewardOrder("id", 3, "x"), RewardOrder("i" * 65, 3, "team")]
)
def test_an_impossible_order_is_refused(proxies: Callable[..., Proxy], order: RewardOrder) -> None:
    client = proxies().client(1).join(dataclasses.replace(collect(battles=2), rewards=order))
    assert client.refusal()[0].name == "INVALID_ARGUMENT"


def test_a_statement_is_read_with_the_key_it_was_signed_with() -> None:
    assert READER.read(attest(KEY, "main", EARNED), 1, 7) == (12.5, 4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "attests no reward: start it with --attest-key"),
        ("", "attests no reward"),
        ("\udcff", "not signed with the key"),
        (attest(bytes(32), "main", EARNED), "not signed with the key"),
        (attest(KEY, "main", EARNED).replace("12.5", "99.5"), "not signed with the key"),
        (attest(KEY, "main", EARNED).partition(" ")[2], "not signed with the key"),
        (attest(KEY, "other", EARNED), "of arena 'other', expected 'main'"),
        (attest(KEY, "main", dataclasses.replace(EARNED, seat=2)), "of seat 2, expected 1"),
        (attest(KEY, "main", dataclasses.replace(EARNED, round=6)), "of round 6, expected 7"),
        (attest(KEY, "main", dataclasses.replace(EARNED, order=RewardOrder("x", 96, "alive"))), "of run 'x'"),
        (attest(KEY, "main", dataclasses.replace(EARNED, order=RewardOrder("id", 9, "alive"))), "of reward-buffer 9"),
        (
            attest(KEY, "main", dataclasses.replace(EARNED, order=RewardOrder("id", 96, "team"))),
            "of reward-credit 'team'",
        ),
    ],
)
def test_what_is_no_statement_on_this_seat_round_and_run(text: object, reason: str) -> None:
    with pytest.raises(UnattestedError, match=reason):
        READER.read(text, 1, 7)


def test_the_key_is_made_once_for_its_owner_alone_and_read_by_the_server(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = keep_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keep_key(path) == read_key(path) == key
    assert len(key) == 32


@pytest.mark.parametrize("content", ["", "zz", "00" * 31])
def test_a_file_without_a_key_is_refused_by_both(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(OSError, match="holds no key"):
        keep_key(path)
    with pytest.raises(ValueError, match="key"):
        read_key(path)
    with pytest.raises(ValueError, match="cannot read a key"):
        read_key(tmp_path / "none")


def test_a_key_is_not_shown() -> None:
    assert KEY.hex() not in repr(READER)
    assert str(KEY) not in repr(READER)
    assert json.loads(attest(KEY, "main", EARNED).partition(" ")[2])["reward"] == 12.5
