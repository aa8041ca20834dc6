"""`grpc.health.v1` of a real env proxy, and the command that asks."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from envproxy import arena_status
from envproxy.arena import Arena
from tests.envproxy.conftest import Proxy
from tests.envproxy.drill import Drill
from tests.waiting import WAIT_LIMIT

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def proxy(proxies: Callable[..., Proxy]) -> Proxy:
    return proxies({"a": Arena(Drill(2, 1)), "b": Arena(Drill(2, 1))})


def check(address: str, service: str) -> int:
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service=service), timeout=WAIT_LIMIT
        )
    status: int = answer.status
    return status


def test_every_arena_serves_and_so_does_the_whole(proxy: Proxy) -> None:
    assert [check(proxy.address, service) for service in ("", "a", "b")] == [SERVING] * 3


def test_an_arena_that_is_not_there_is_not_found(proxy: Proxy) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        check(proxy.address, "c")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_an_arena_whose_loop_does_not_move_does_not_serve_and_neither_does_the_whole(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = proxy.hosted[0].status
    monkeypatch.setattr(type(alive), "is_alive", property(lambda status: status is alive))
    assert [check(proxy.address, service) for service in ("", "a", "b")] == [NOT_SERVING, SERVING, NOT_SERVING]


def test_a_row_is_fresh_for_some_seconds_after_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    (status,) = arena_status.shared_statuses(1)
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    status.heartbeat()
    assert status.is_alive
    now += arena_status.STALE_AFTER + 0.1
    assert not status.is_alive
    status.write(3, 2**40)
    assert status.round_and_steps == (3, 2**40)


def test_a_watcher_hears_of_a_change_alone(proxy: Proxy) -> None:
    with grpc.insecure_channel(proxy.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answers = stub.Watch(health_pb2.HealthCheckRequest(service="a"), timeout=WAIT_LIMIT)
        assert next(answers).status == SERVING
        answers.cancel()
        unknown = stub.Watch(health_pb2.HealthCheckRequest(service="x"), timeout=WAIT_LIMIT)
        assert next(unknown).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        unknown.cancel()


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "envproxy.health", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_LIMIT, check=False)


def test_the_command_says_whether_it_serves(proxy: Proxy) -> None:
    assert ask(proxy.address).returncode == 0
    assert ask(proxy.address, "--arena", "a").returncode == 0
    absent = ask(proxy.address, "--arena", "c")
    assert absent.returncode == 1
    assert "arena 'c' is not served here" in absent.stderr
    proxy.close()
    gone = ask(proxy.address)
    assert gone.returncode == 1
    assert f"the env proxy at {proxy.address} does not answer" in gone.stderr
    assert "Traceback" not in gone.stderr
    elsewhere = ask("192.0.2.1:1")
    assert elsewhere.returncode == 1
    assert "in plaintext" in elsewhere.stderr
