"""`python -m envproxy --processes 2`: arenas on several processes behind one port, and signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from client.seat_session import SeatSession
from envproxy.tokens import read_token, token_path
from pps_qmix.runtime.processes import free_ports
from tests.envproxy.drill import legal_round
from tests.waiting import WAIT_LIMIT, wait_for

ARENAS = ("a", "b", "c")
BATTLES = 2


class EnvProxy:
    """The command, with two processes for three arenas of 3m."""

    def __init__(self, folder: Path) -> None:
        self.port, self.metrics = free_ports(2)
        self.address = f"127.0.0.1:{self.port}"
        self.log, self.tokens = folder / "log", folder / "tokens"
        command = [sys.executable, "-m", "envproxy", "--listen", self.address, "--battles", "2"]
        command += ["--processes", "2", "--tokens", str(self.tokens), "--metrics-listen", f"127.0.0.1:{self.metrics}"]
        command += [word for arena in ARENAS for word in ("--arena", arena)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(lambda: "listening on" in self.said() or self.process.poll() is not None, "the env proxy")
        assert self.process.poll() is None, self.said()
        self.workers = psutil.Process(self.process.pid).children()

    def said(self) -> str:
        return self.log.read_text()

    def session(self, arena: str, seat: int) -> SeatSession:
        return SeatSession(self.address, arena, seat, read_token(token_path(self.tokens, arena, seat)))

    def play(self, battles: int = BATTLES) -> list[int]:
        """Let all seats of all arenas play a phase; return what each of them counted."""
        sessions = [self.session(arena, seat) for arena in ARENAS for seat in range(3)]
        try:
            with ThreadPoolExecutor(len(sessions)) as pool:
                reports = list(pool.map(lambda session: session.play(legal_round(battles)), sessions))
        finally:
            for session in sessions:
                session.close()
        return [report.standing.battles for report in reports]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        psutil.wait_procs(self.workers, WAIT_LIMIT)


@pytest.fixture
def envproxy(tmp_path: Path, home: Path) -> Iterator[EnvProxy]:
    proxy = EnvProxy(tmp_path)
    yield proxy
    proxy.close()


def test_every_seat_finds_the_process_of_its_arena_and_any_process_answers_for_all(envproxy: EnvProxy) -> None:
    assert len(envproxy.workers) == 2
    assert envproxy.play() == [BATTLES] * 9
    for _ in range(4):  # over new connections, so by both processes
        for arena in ARENAS:
            session = envproxy.session(arena, 0)
            description = session.describe()
            session.close()
            assert (description.arena, description.round) == (arena, 1)
            assert description.steps > 0
    text = urllib.request.urlopen(f"http://127.0.0.1:{envproxy.metrics}/metrics", timeout=WAIT_LIMIT).read().decode()
    ended = re.findall(r'^pps_qmix_arena_battles_total\{arena="(\w)",outcome="\w+"\} (\d+)', text, re.MULTILINE)
    assert sum(int(count) for _, count in ended) == BATTLES * len(ARENAS)
    assert {arena for arena, _ in ended} == set(ARENAS)


def test_a_process_that_is_killed_ends_the_env_proxy_with_one_line(envproxy: EnvProxy) -> None:
    envproxy.workers[1].kill()
    assert envproxy.process.wait(WAIT_LIMIT) == 1
    said = envproxy.said()
    assert re.search(r"process 1 of the env proxy \(pid \d+\) ended, exit code -9; start the env proxy again", said)
    assert "Traceback" not in said
    assert psutil.wait_procs(envproxy.workers, WAIT_LIMIT)[1] == []


def test_an_env_proxy_that_is_killed_leaves_no_process_behind(envproxy: EnvProxy) -> None:
    envproxy.process.kill()
    envproxy.process.wait()
    assert psutil.wait_procs(envproxy.workers, WAIT_LIMIT)[1] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_processes_also_while_seats_play(envproxy: EnvProxy, number: signal.Signals) -> None:
    session = envproxy.session("a", 0)
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(session.play, legal_round(BATTLES))  # waits for the other two
        wait_for(lambda: "arena a: seat 0 taken" in envproxy.said(), "the seat")
        os.kill(envproxy.process.pid, signal.SIGHUP)  # nothing to read again, and no reason to end
        os.kill(envproxy.process.pid, number)
        assert envproxy.process.wait(WAIT_LIMIT) == 0
        assert psutil.wait_procs(envproxy.workers, WAIT_LIMIT)[1] == []
        session.stop()
        assert playing.exception(WAIT_LIMIT) is not None
    session.close()
    assert "Traceback" not in envproxy.said()
