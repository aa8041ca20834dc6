"""TLS and identity on real processes: a SuperLink, a device that it knows, and devices that it must not take."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import client.launch
from client.device import DeviceDirectory
from client.launch import AgentError, SeatAddress, ask
from client.messages import Request, reply_from, request_to
from envproxy.arena import Arena
from envproxy.certificates import ServerCertificate
from envproxy.hosting import HostedArena
from envproxy.tokens import keep_tokens
from envproxy.transport import Transport
from operations.protocol import PROTOCOL
from pps_qmix.configuration import default_config
from pps_qmix.credentials.folders import Folders, Wanted
from pps_qmix.runtime.processes import TELEMETRY_OFF, Part, free_ports, wait_until_listening
from strategies.messages import DESCRIBE, TRAIN
from tests.envproxy.drill import Drill
from tests.serving import served
from tests.system.conftest import agents, processes
from tests.waiting import WAIT_LIMIT, wait_for

RUN = "secure"
BIN = Path(sys.executable).parent


@pytest.fixture
def start(tmp_path: Path, home: Path) -> Iterator[Callable[..., Part]]:
    """Start a process with a FLWR_HOME of its own; it is ended with the test."""
    parts: list[Part] = []

    def start(name: str, *command: object) -> Part:
        flower = tmp_path / "f" / name
        flower.mkdir(parents=True, exist_ok=True)
        environment = {"FLWR_HOME": str(flower), **TELEMETRY_OFF}
        parts.append(Part(name, [str(word) for word in command], tmp_path / f"{name}.log", environment))
        return parts[-1]

    yield start
    for part in reversed(parts):
        part.end()


def credentials(directory: Path) -> Path:
    list(Folders(directory).fill(Wanted((), (), 2, "main", 1), datetime.datetime.now(datetime.UTC)))
    return directory


def test_a_superlink_takes_the_devices_it_knows_and_no_others(
    start: Callable[..., Part], tmp_path: Path, home: Path
) -> None:
    good, foreign = credentials(tmp_path / "good"), credentials(tmp_path / "foreign")
    coordinator = good / "coordinator"
    port, node_port, proxy = free_ports(3)
    link = f"127.0.0.1:{port}"
    superlink = start(
        "superlink", BIN / "flower-superlink", "--port", port, "--enable-supernode-auth",
        "--ssl-certfile", coordinator / "superlink.crt", "--ssl-keyfile", coordinator / "superlink.key",
        "--ssl-ca-certfile", coordinator / "ca.crt", "--disable-runtime-dependency-installation",
    )  # fmt: skip
    wait_until_listening(superlink, port, WAIT_LIMIT)

    def agent(name: str, folder: Path) -> Part:
        command = (sys.executable, "-m", "cli.main", "agent", "--seat", folder.name.removeprefix("device-"))
        return start(name, *command, "--superlink", link, "--envproxy", f"127.0.0.1:{proxy}", "--credentials", folder)

    strange = agent("strange", foreign / "device-1")  # it does not trust this SuperLink
    keyless = start(  # it comes without a key, and would register itself
        "keyless", BIN / "flower-supernode", "--superlink", link, "--root-certificates", coordinator / "ca.crt",
        "--port", node_port, "--node-config", "seat=1",
    )  # fmt: skip
    admit(start, link, coordinator)
    welcome = agent("welcome", good / "device-0")
    wait_for(lambda: "Activated node_id" in words_of(superlink), "the device that was registered")

    keyless.wait()
    assert keyless.exit_code
    assert "All SuperNodes must be registered via the CLI" in words_of(keyless)
    strange.wait()
    assert strange.exit_code == 1
    assert said(strange) == (
        f"pps-qmix: the SuperLink at {link} has a certificate that the CA in {foreign / 'device-1' / 'ca.crt'} "
        "has not signed; is it the one it should be?"
    )
    assert f"no env proxy answers at 127.0.0.1:{proxy}" in words_of(welcome)
    assert words_of(superlink).count("Activated node_id") == 1

    os.kill(welcome.pid, signal.SIGKILL)  # even then its SuperNode does not stay
    welcome.wait()
    wait_for(lambda: not processes("flower-supernode", str(good)), "the end of the SuperNode")


@pytest.fixture
def serving() -> Iterator[ExitStack]:
    """What is entered here is left when the test has ended."""
    with ExitStack() as stack:
        yield stack


def test_an_agent_process_is_let_in_over_tls_by_its_own_token(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serving: ExitStack
) -> None:
    folder = credentials(tmp_path / "c")
    battle_host, device = folder / "battle-host", folder / "device-1"
    hosted = HostedArena(
        "main", "drill", Arena(Drill(2, 2, lambda _: 3)), keep_tokens(battle_host / "tokens", "main", 2), 60.0
    )
    certificate = ServerCertificate(battle_host / "envproxy.crt", battle_host / "envproxy.key")
    _, port = serving.enter_context(served([hosted], credentials=certificate.credentials))
    address = SeatAddress(1, f"127.0.0.1:{port}", device / "seat-1.token", Transport(device / "ca.crt"))
    config = {
        **{
            **default_config(),
            "run": RUN,
            "run-id": "id",
            "protocol": PROTOCOL,
            "version": "1",
            "hidden": 8,
            "battles": 2,
        },
        **{
            "map": "drill",
            "backend": "drill",
            "round": 1,
            "steps-before": 0,
            "round-battles": 4,
            "seats": [0, 1],
            "order": 1,
        },
    }
    with subprocess.Popen(["sleep", "600"]) as supernode:  # in a SuperNode's place; the agent process ends with it
        monkeypatch.setattr(client.launch, "_watch_arguments", lambda: ["--watch", str(supernode.pid)])
        try:
            found = reply_from(
                ask(DeviceDirectory(home, RUN, "id", 1), RUN, address, request_to(Request(DESCRIBE, config)))
            )
            assert (found.values["seat"], found.values["n-agents"]) == (1, 2)
            address.token.write_bytes((folder / "device-0" / "seat-0.token").read_bytes())
            (agent,) = agents(tmp_path)
            agent.kill()  # it has read its own
            with pytest.raises(
                AgentError, match="this is not the token of seat 1 of arena 'main'; give the device the"
            ):
                ask(DeviceDirectory(home, RUN, "id", 1), RUN, address, request_to(Request(TRAIN, config)))
        finally:
            supernode.kill()
    wait_for(lambda: not agents(tmp_path), "the end of the agent process")


def admit(start: Callable[..., Part], link: str, coordinator: Path) -> None:
    command = (sys.executable, "-m", "cli.main", "admit", "--superlink", link, "--root-certificates")
    done = start("admit", *command, coordinator / "ca.crt", coordinator / "supernodes" / "seat-0.pub")
    done.wait()
    assert said(done) == "seat-0.pub: admitted"


def words_of(part: Part) -> str:
    """All that a part has logged."""
    assert part.log is not None
    return part.log.read_text()


def said(part: Part) -> str:
    return words_of(part).strip().splitlines()[-1]
