"""The commands on StarCraft II, with the stand-in: runs in both runtimes, an env proxy that ends, what is missing."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from envproxy import battle_pb2 as pb
from envproxy import battle_pb2_grpc
from pps_qmix.runtime.processes import free_ports
from server.run_directory import read_run
from tests.starcraft.faults import Fault
from tests.starcraft.host import ENVIRONMENT, SMAC, Host, battle_host, needs_smac
from tests.system.conftest import rounds
from tests.waiting import WAIT_LIMIT, wait_for

Train = Callable[..., "subprocess.Popen[str]"]
MakeHost = Callable[..., Host]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHost]:
    """Return how to set up the machine; in the end nothing may be left on it."""
    with ExitStack() as stack:

        def make(*faults: Fault, **options: Any) -> Host:
            return stack.enter_context(battle_host(tmp_path, monkeypatch, faults=faults, maps=["3m"], **options))

        yield make


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments], capture_output=True, text=True, check=False, timeout=WAIT_LIMIT
    )


@pytest.mark.parametrize("runtime", ["in-process", "flower"])
@pytest.mark.parametrize("packages", [ENVIRONMENT, pytest.param(SMAC, marks=needs_smac)], ids=["standin", "smac"])
def test_a_run_is_played_and_its_record_says_on_what(
    runtime: str, packages: Path | str, host: MakeHost, home: Path, train: Train, tmp_path: Path
) -> None:
    host(packages=packages)
    process = train("game", "--runtime", runtime, "--backend", "smac", battles=2, total_steps=300)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "last test win rate" in output
    provenance = read_run(tmp_path / "game")["provenance"]
    assert provenance["game"] == "StarCraft II 4.10.0 (Base75689)"
    assert {"smac", "pysc2", "protocol", "map-sha256"} < provenance.keys()
    played = rounds(tmp_path / "game")
    assert played[-1]["steps"] >= 300
    assert sum(seat["training-steps"] for seat in played[-1]["seats"].values())


def test_a_run_of_either_backend_is_evaluated_on_both(host: MakeHost, home: Path, train: Train, tmp_path: Path) -> None:
    host()
    process = train("sim", "--runtime", "in-process", battles=2, total_steps=100)
    assert process.communicate()[0]
    on_smac = command("evaluate", str(tmp_path / "sim"), "--backend", "smac", "--evaluate-battles", "2")
    assert on_smac.returncode == 0, on_smac.stderr
    assert "smac cannot repeat battles" in on_smac.stdout
    assert "of 2 battles won" in on_smac.stdout
    own = command("evaluate", str(tmp_path / "sim"), "--evaluate-battles", "2")
    assert "cannot repeat" not in own.stdout


class Proxy:
    """`python -m envproxy` on the backend smac."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self.log = folder / "envproxy.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(
                        sys.executable,
                        "-m",
                        "envproxy",
                        "--backend",
                        "smac",
                        "--map",
                        "3m",
                        "--battles",
                        "2",
                    ),
                    *("--listen", self.address, "--tokens", str(folder / "tokens"), *arguments),
                ],
                stdout=log,
                stderr=log,
            )
        self.channel = grpc.insecure_channel(self.address)
        self._stub = battle_pb2_grpc.BattleServiceStub(self.channel)  # type: ignore[no-untyped-call]
        self.describe()

    def describe(self) -> pb.ArenaDescription:
        request = pb.DescribeRequest(arena="main")
        description: pb.ArenaDescription = self._stub.Describe(request, timeout=WAIT_LIMIT, wait_for_ready=True)
        return description

    def said(self) -> str:
        return self.log.read_text()


@pytest.mark.parametrize(
    ("fault", "number"),
    [(None, signal.SIGTERM), (None, signal.SIGKILL), (Fault("never-listens"), signal.SIGINT)],
    ids=["playing-SIGTERM", "playing-SIGKILL", "starting-SIGINT"],
)
def test_an_env_proxy_takes_its_games_along(
    fault: Fault | None, number: signal.Signals, host: MakeHost, home: Path, tmp_path: Path
) -> None:
    machine = host(*([fault] if fault else []))
    proxy = Proxy(tmp_path)
    players = [
        subprocess.Popen([sys.executable, "-c", _SEAT, proxy.address, str(seat), str(tmp_path / "tokens")])
        for seat in range(3)
    ]
    try:
        wait_for(lambda: machine.launched, "a game")
        if fault is None:
            wait_for(lambda: proxy.describe().steps > 20, "some steps")
        assert proxy.describe().map == "3m", "it answers while a game starts"
        proxy.process.send_signal(number)
        assert proxy.process.wait(WAIT_LIMIT) == (-number if number is signal.SIGKILL else 0), proxy.said()
    finally:
        proxy.channel.close()
        proxy.process.kill()
        for player in players:
            player.kill()
            player.wait()
    assert "Traceback" not in proxy.said()
    machine.check_nothing_is_left()


# Plays for ever, with the lowest action that is available.
_SEAT = """
import sys
import grpc
import numpy as np
from envproxy import battle_pb2 as pb
from envproxy import battle_pb2_grpc, wire
from envproxy.calls import SeatCall
from envproxy.protocol import Phase, PhaseKind, Standing, Tick
from envproxy.tokens import read_token, token_path
import pathlib, queue
address, seat, tokens = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
stub = battle_pb2_grpc.BattleServiceStub(grpc.insecure_channel(address))
sizes = stub.Describe(pb.DescribeRequest(arena="main"))
metadata = SeatCall("main", seat, read_token(token_path(tokens, "main", seat))).metadata()
said = queue.SimpleQueue()
phase = wire.phase_to(Phase(1, 1, PhaseKind.COLLECT, 0, 10**6, Standing()))
said.put(pb.SeatMessage(join=pb.Join(phase=phase)))
try:
    for message in stub.Play(iter(said.get, None), metadata=metadata):
        event = wire.event_from(message, sizes)
        if isinstance(event, Tick):
            actions = event.available.argmax(1).astype(np.uint8)
            said.put(pb.SeatMessage(act=pb.Act(tick=event.tick, actions=actions.tobytes())))
except grpc.RpcError:
    pass
"""


def test_an_interrupt_does_not_wait_for_a_start(host: MakeHost, home: Path, train: Train) -> None:
    machine = host(Fault("never-listens"))
    process = train("cut", "--runtime", "in-process", "--backend", "smac", total_steps=300)
    wait_for(lambda: machine.launched, "a start")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=WAIT_LIMIT)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    machine.check_nothing_is_left()


def test_a_game_that_does_not_start_ends_the_run_with_its_last_words(host: MakeHost, home: Path, train: Train) -> None:
    host(Fault("exit-at-start", words="licence not accepted"))
    process = train("none", "--runtime", "in-process", "--backend", "smac", battles=2, total_steps=300)
    output, _ = process.communicate()
    assert process.returncode == 1, output
    said = " ".join(output.split())
    assert "StarCraft II did not start, 3 times in a row" in said
    assert "licence not accepted" in said
    assert "Traceback" not in output


def test_a_game_that_crashes_now_and_then_costs_battles_and_no_run(
    host: MakeHost, home: Path, train: Train, tmp_path: Path
) -> None:
    machine = host(Fault("crash", launches=(0, 2, 3), number=30, words="out of memory"))
    process = train("crashes", "--runtime", "in-process", "--backend", "smac", battles=2, total_steps=600)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert machine.launched >= 4
    row = rounds(tmp_path / "crashes")[-1]
    assert row["steps"] >= 600


@pytest.mark.parametrize("name", ["train", "envproxy"])
def test_what_is_missing_is_told_in_a_line_before_anything_is_begun(
    name: str, host: MakeHost, home: Path, tmp_path: Path
) -> None:
    machine = host()
    shutil.rmtree(machine.installation / "Maps")
    (port,) = free_ports(1)
    arguments = {
        "train": ["train", "--runs", str(tmp_path / "runs"), "--run", "r", "--map", "3m"],
        "envproxy": ["envproxy", "--listen", f"127.0.0.1:{port}", "--tokens", str(tmp_path / "tokens")],
    }[name]
    done = command(*arguments, "--backend", "smac")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("pps-qmix: ")
    assert "SMAC_Maps is not there; copy the folder" in line
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "tokens").exists()


def test_rules_and_options_that_a_backend_lacks_are_refused_by_name(home: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (["--backend", "smac", "--rules", "weapons=lotv"], "rules: weapons: expected none"),
        (["--rules", "difficulty=A"], "rules: difficulty: expected none, for only the backend smac"),
        (["--backend-options", "memory=1"], "backend-options: expected none, for skirmish has none"),
        (
            ["--backend", "smac", "--backend-options", "start-timeout=0"],
            "backend-options: start-timeout: expected more",
        ),
        (["--backend", "smac", "--backend-options", "patience=3"], "backend-options: there is no 'patience'"),
    ):
        done = command("train", "--runs", str(tmp_path), "--map", "3m", *arguments)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_maps_are_listed_without_a_game(home: Path) -> None:
    done = command("maps")
    assert done.returncode == 0
    both = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" skirmish, smac")]
    assert len(both) == 23 + 15  # and SMACv2's scenarios


def test_an_experiment_may_be_played_on_the_game(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    file.write_text(
        'name = "two"\nseeds = [0]\nmaps = ["3m"]\n[settings]\nbackend = "smac"\nbackend-options = "memory=8000"\n'
        '[[methods]]\nname = "A-PPS"\nstrategy = "a-pps"\nbase = "vdn"\n'
    )
    done = command("experiment", str(file), "--dry-run", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "3m-a-pps-vdn" in done.stdout
