"""Real agent processes: found, started, started again, heard when they fail, gone when their SuperNode is."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

import client.launch
import client.resident
import client.seat_session
import operations.sockets
from client.device import DeviceDirectory, DeviceError
from client.launch import AgentError, SeatAddress
from client.messages import Reply, Request, reply_from, request_to
from client.player import MemberPlayer
from client.resident import AgentService
from envproxy.arena import Arena
from envproxy.backend import create_backend
from envproxy.hosting import HostedArena
from envproxy.tokens import keep_tokens, token_path
from operations.home import pps_home
from operations.members import Member
from operations.protocol import PROTOCOL
from operations.simulator import SIMULATOR
from pps_qmix.configuration import default_config
from strategies.messages import DESCRIBE, TRAIN, WEIGHTS
from tests.serving import served
from tests.waiting import wait_for

RUN = "launched"
CONFIG = {
    **default_config(),
    "run": RUN,
    "run-id": "id",
    "protocol": PROTOCOL,
    "simulator": SIMULATOR,
    "version": "1",
    "battles": 2,
    "hidden": 8,
}
ORDERS = {"round": 1, "steps_before": 0, "round_battles": 100, "seats": [0, 1, 2], "order": 1}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A PPS_HOME of the test's own; the agent processes in it are ended with the test."""
    path = tmp_path / "h"
    monkeypatch.setenv("PPS_HOME", str(path))
    yield path
    for process in processes(path):
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture(scope="module")
def envproxy(tokens: Path) -> Iterator[str]:
    """An env proxy that plays 3m; its address. Seats are never given up, so a seat alone waits for the others."""
    arena = Arena(create_backend("skirmish", "3m", 2))
    hosted = HostedArena("main", "skirmish", arena, keep_tokens(tokens, "main", 3), seat_timeout=600.0)
    with served([hosted]) as (_, port):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def supernode() -> Iterator[subprocess.Popen[bytes]]:
    """A process to be watched in a SuperNode's place."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def address(envproxy: str, tokens: Path) -> SeatAddress:
    return SeatAddress(1, envproxy, token_path(tokens, "main", 1))


def processes(home: Path) -> list[psutil.Process]:
    """The agent processes that work in `home`."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if "client.resident" in (process.info["cmdline"] or []) and Path(process.info["cwd"] or "").is_relative_to(
            home
        ):
            found.append(process)
    return found


def device(home: Path) -> DeviceDirectory:
    return DeviceDirectory(home, RUN, "id", 1)


def ask(directory: DeviceDirectory, run: str, address: SeatAddress, request: Request) -> Reply:
    """Ask as a ClientApp does."""
    return reply_from(client.launch.ask(directory, run, address, request_to(request)))


def question(kind: str = DESCRIBE, **config: Any) -> Request:
    return Request(kind, {**CONFIG, **{name.replace("_", "-"): value for name, value in config.items()}})


def test_an_agent_process_is_started_found_started_again_and_ends_with_its_supernode(
    home: Path,
    address: SeatAddress,
    supernode: subprocess.Popen[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "envproxy")
    monkeypatch.setattr(client.launch, "_watch_arguments", lambda: ["--watch", str(supernode.pid)])
    token = tmp_path / "my.token"
    mine = SeatAddress(1, address.envproxy, token)

    def asked(request: Request) -> Reply:
        return ask(device(home), RUN, mine, request)

    # started, though it cannot do anything yet; what is wrong may be put right while it runs
    with pytest.raises(AgentError, match=r"^seat 1: cannot read the token of seat 1: .*my.token.*name it in the node"):
        asked(question())
    (first,) = processes(home)
    token.write_text("not the one\n")
    described = asked(question())
    types = '["Marine", "Marine", "Marine"]'
    assert described.values == {"seat": 1, "n-agents": 3, "round": 0, "unit-types": types}
    assert described.tensors == {}
    with pytest.raises(AgentError, match=r"this is not the token of seat 1 of arena 'main'"):
        asked(question(TRAIN, **ORDERS))
    token.write_bytes(address.token.read_bytes())

    sent = asked(question(WEIGHTS))
    assert sent.tensors["fc1.weight"].shape[0] == 8
    with pytest.raises(AgentError, match=r"^seat 1: the run wants map '8m', but arena 'main' .* plays '3m'"):
        asked(question(map="8m"))
    with pytest.raises(AgentError, match=r"^seat 1: unknown kind of message 'dance'"):
        asked(question("dance"))
    with pytest.raises(AgentError, match=r"^seat 1: the server's message lacks 'round'"):
        asked(question(TRAIN))

    # a round alone waits for the other seats; a newer question ends it
    with ThreadPoolExecutor(1) as pool:
        round_ = pool.submit(asked, question(TRAIN, **ORDERS))
        wait_for(lambda: "seat 1 taken" in caplog.text, "its seat at the env proxy")
        assert asked(question()) == described
        with pytest.raises(AgentError, match="the server has ordered another round"):
            round_.result()

    assert [process.pid for process in processes(home)] == [first.pid]
    assert not device(home).lock()  # it is the one writer
    first.send_signal(signal.SIGKILL)
    wait_for(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE, "its end")
    assert device(home).socket.exists()  # no process listens there now
    assert asked(question()) == described
    (second,) = processes(home)
    assert second.pid != first.pid

    # its SuperNode dies in the middle of a round
    caplog.clear()
    with ThreadPoolExecutor(1) as pool:
        round_ = pool.submit(asked, question(TRAIN, **ORDERS))
        wait_for(lambda: "seat 1 taken" in caplog.text, "its seat at the env proxy")
        monkeypatch.setattr(client.launch, "_ATTEMPTS", 1)  # the one who asks dies with the SuperNode, too
        supernode.kill()  # and stays a zombie until this test has waited for it
        wait_for(lambda: not second.is_running() or second.status() == psutil.STATUS_ZOMBIE, "its end")
        supernode.wait()
        round_.exception()
    assert f"the SuperNode (pid {supernode.pid}) is gone" in device(home).log.read_text()


def test_its_last_words_are_heard_when_it_cannot_start(
    home: Path, address: SeatAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'something else'\necho \"ImportError: no torch, asked for $*\" >&2\nexit 1\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(AgentError) as refused:
        ask(device(home), RUN, address, question())
    said = str(refused.value)
    assert said.startswith("the agent process did not start: ImportError: no torch, asked for -P -m client.resident")
    assert said.endswith(f"(see {device(home).log})")


def test_one_that_ends_at_once_is_told_without_words(
    home: Path, address: SeatAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(AgentError, match="did not start: it said nothing"):
        ask(device(home), RUN, address, question())


def test_a_second_agent_process_of_a_seat_gives_way(
    home: Path, address: SeatAddress, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # so the first one's end is not waited for
    first = device(home)
    first.make()
    assert first.lock()
    arguments = [
        "--run",
        RUN,
        "--run-id",
        "id",
        "--seat",
        "1",
        "--envproxy",
        address.envproxy,
        "--token",
        str(address.token),
    ]
    assert client.resident.main(arguments) == 1
    assert f"another agent process writes in {first.path}" in caplog.text
    assert not first.socket.exists()
    first.unlock()


class RefusedError(Exception):
    pass


class Context:
    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise RefusedError(f"{code.name} {details}")


def test_a_centralised_run_is_none_for_devices(home: Path, address: SeatAddress) -> None:
    service = AgentService(MemberPlayer(Member(0, 1), "127.0.0.1:1", lambda _: address.token))
    with pytest.raises(RefusedError, match=r"^FAILED_PRECONDITION a centralised run has .* --runtime in-process$"):
        service.Handle(request_to(question(centralised=True)), Context())  # type: ignore[arg-type]


def test_an_env_proxy_out_of_reach_is_named(home: Path, address: SeatAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.seat_session, "_DESCRIBE_TIMEOUT", 0.2)
    service = AgentService(MemberPlayer(Member(0, 1), "127.0.0.1:1", lambda _: address.token))
    with pytest.raises(RefusedError, match=r"^FAILED_PRECONDITION no env proxy answers at 127.0.0.1:1 .*pps-qmix env"):
        service.Handle(request_to(question()), Context())  # type: ignore[arg-type]
    assert not service.busy


def test_a_token_is_not_sent_to_another_machine_in_plaintext(home: Path, address: SeatAddress) -> None:
    service = AgentService(MemberPlayer(Member(0, 1), "192.0.2.1:50551", lambda _: address.token))
    with pytest.raises(
        RefusedError, match=r"^FAILED_PRECONDITION seat 1: a token is not sent to 192.0.2.1:50551 in pl"
    ):
        service.Handle(request_to(question()), Context())  # type: ignore[arg-type]


def test_a_path_too_long_is_told_before_anything_is_started(
    home: Path, address: SeatAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations.sockets, "_DESCRIPTORS", home / "none")  # as on a system that is no Linux
    long = DeviceDirectory(home / ("x" * 90), RUN, "id", 1)
    with pytest.raises(DeviceError, match="set PPS_HOME to another one"):
        ask(long, RUN, address, question())
    assert not long.path.exists()


def test_an_agent_process_works_under_any_path(
    home: Path, address: SeatAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "/".join(["-x%20~", "a #?%b, [c] \"'\\ é😀\t\n", "long" * 40])
    run = "r" * 100
    token = home / folder / "my token"
    token.parent.mkdir(parents=True)
    token.write_bytes(address.token.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PPS_HOME", f"{home.name}/{folder}/")  # relative: the agent process works in another folder
    directory = DeviceDirectory(pps_home(), run, "id", 1)
    described = ask(directory, run, SeatAddress(1, address.envproxy, token), question(run=run))
    assert described.values["seat"] == 1
    assert directory.path == home / folder / run / "id" / "seat-1"
    assert directory.answers()
    assert ask(directory, run, address, question(run=run)) == described
    (process,) = processes(home)
    process.terminate()
    process.wait()
    assert not directory.socket.exists()


def test_runs_of_one_name_have_an_agent_process_each(home: Path, address: SeatAddress) -> None:
    """Of two federations that share a PPS_HOME."""
    for run_id in ("first", "second"):
        ask(DeviceDirectory(home, RUN, run_id, 1), RUN, address, question(run_id=run_id))
    assert {process.cwd() for process in processes(home)} == {
        str(home / RUN / each / "seat-1") for each in ("first", "second")
    }
    assert all((home / RUN / each / "seat-1" / "buffer").is_dir() for each in ("first", "second"))


def test_only_a_supernode_is_watched() -> None:
    assert client.launch._watch_arguments() == []
    program = "from client.launch import _watch_arguments; print(*_watch_arguments())"
    shell = subprocess.Popen(
        ["bash", "-c", 'exec -a flower-supernode bash -c "\\"$0\\" -c \'$1\'; true"', sys.executable, program],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.communicate()[0].split() == ["--watch", str(shell.pid)]
