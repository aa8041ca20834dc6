"""What `pps-qmix doctor` says of machines that are well, and of what may be wrong with them."""

from __future__ import annotations

import datetime
import json
import re
import resource
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from cli.main import main
from envproxy.arena import Arena
from envproxy.backend import MapSpec
from envproxy.rules import Rules
from envproxy.transport import Transport
from learning.buffer import BattleBuffer, buffer_bytes
from learning.network import AgentNetwork
from learning.settings import SeatSpec
from pps_qmix.credentials.authority import issue, make_authority
from pps_qmix.credentials.folders import Folders, Wanted
from pps_qmix.doctor import machine, network, packages, starcraft
from pps_qmix.doctor.credentials import check_credentials
from pps_qmix.doctor.finding import Finding, Level
from pps_qmix.runtime.processes import free_ports
from tests.cli.conftest import surroundings
from tests.connect_proxy import connect_proxy
from tests.envproxy.conftest import Proxy
from tests.envproxy.drill import Drill
from tests.starcraft.faults import Fault
from tests.starcraft.host import battle_host

__all__ = ["surroundings"]

NOW = datetime.datetime.now(datetime.UTC)
PLAIN = Transport(insecure=True)
OK, WARNING, FAILED = Level.OK, Level.WARNING, Level.FAILED


def days(count: float) -> datetime.datetime:
    return NOW + datetime.timedelta(days=count)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    list(Folders(folder).fill(Wanted((), (), 2, "main", 100), NOW))
    return folder


@pytest.fixture
def federation(made: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "federation"))


def bad(folder: Path, now: datetime.datetime = NOW) -> list[Finding]:
    return [finding for finding in check_credentials(folder, now) if finding.level is not OK]


# --- the command ----------------------------------------------------------------------------------------------


def test_a_line_for_each_check_and_the_same_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, surroundings: None, made: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("PPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLWR_HOME", str(tmp_path / "flwr"))
    (port,) = free_ports(1)
    arguments = ["doctor", "--credentials", str(made / "device-1"), "--envproxy", f"127.0.0.1:{port}"]
    assert main([*arguments, "--json"]) == 1  # no env proxy
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    failed = [check for check in said["checks"] if check["level"] == "failed"]
    assert [check["check"] for check in failed] == ["env proxy"]
    assert failed[0]["says"].startswith(f"no env proxy answers at 127.0.0.1:{port}")
    assert main(arguments) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0].split(maxsplit=1)[1] for line in lines] == [each["check"] for each in said["checks"]]
    assert not (tmp_path / "home").exists()  # it only looks


def test_wrong_flags_are_one_line(capsys: pytest.CaptureFixture[str], surroundings: None) -> None:
    assert main(["doctor", "--superlink", "x"]) == 2
    assert main(["doctor", "--buffer-size", "0"]) == 2
    assert main(["doctor", "--starcraft", "--map", "4m"]) == 2
    assert main(["doctor", "--starcraft", "--backend-options", "memory=0"]) == 2
    assert main(["doctor", "--starcraft", "--rules", "weapons=lotv"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    superlink, buffer_size, map_name, backend_options, rules = said.err.splitlines()
    assert map_name.startswith("pps-qmix: the backend 'smac' has no map '4m'; it has 3m, ")
    assert backend_options == "pps-qmix: backend-options: memory: expected at least 1 (MiB), found 0"
    assert rules.startswith("pps-qmix: rules: weapons: expected none, for StarCraft II plays with its own")
    assert [superlink, buffer_size] == [
        "pps-qmix: superlink: expected HOST:PORT, found 'x'",
        "pps-qmix: buffer-size: expected at least 1 battle, found 0",
    ]


# --- packages -------------------------------------------------------------------------------------------------


def test_versions_are_compared_with_the_pins() -> None:
    (fine,) = packages.check_requirements(["numpy>=2.0", f"flwr=={version('flwr')}"])
    assert fine.level is OK
    found = list(packages.check_requirements(["numpy>=2.0", "flwr==1.40.0", "no-such-package>=1"]))
    assert [finding.level for finding in found] == [FAILED, FAILED]
    assert found[0].says == f"expected flwr==1.40.0, found {version('flwr')}; pip install 'flwr==1.40.0'"
    assert found[1].says.startswith("expected no-such-package>=1, found none")
    assert packages.check_python(">=3.11").level is OK
    assert packages.check_python(">=4").level is FAILED


def test_modules_with_the_names_of_our_packages_are_told(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()  # without __init__.py it replaces no package
    (fine,) = packages.check_modules([str(tmp_path)])
    assert (fine.level, fine.check) == (OK, "modules")
    (tmp_path / "client.py").touch()
    (tmp_path / "server" / "__init__.py").touch()
    found = list(packages.check_modules([str(tmp_path), str(tmp_path)]))
    assert [finding.level for finding in found] == [WARNING, WARNING]
    assert [finding.says.partition(":")[0] for finding in found] == [
        f"{tmp_path / 'client.py'} has the name of our package client",
        f"{tmp_path / 'server' / '__init__.py'} has the name of our package server",
    ]


def test_automls_smac_in_our_own_environment_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert list(starcraft.check_own_smac()) == []
    (tmp_path / "smac" / "facade").mkdir(parents=True)
    (tmp_path / "smac" / "__init__.py").touch()
    (other,) = starcraft.check_own_smac()
    assert (other.level, "is AutoML's SMAC" in other.says) == (WARNING, True)
    (tmp_path / "smac" / "env" / "starcraft2").mkdir(parents=True)
    (tmp_path / "smac" / "env" / "starcraft2" / "starcraft2.py").touch()
    assert list(starcraft.check_own_smac()) == []


# --- the machine ----------------------------------------------------------------------------------------------


def test_room_is_what_a_buffer_and_networks_take(tmp_path: Path) -> None:
    seat = SeatSpec(seat=1, n_agents=3, obs_size=30, n_actions=9, episode_limit=60)
    BattleBuffer(tmp_path / "buffer", 7, seat)
    on_disk = sum(path.stat().st_size for path in (tmp_path / "buffer").iterdir())
    headers = 128 * len(list((tmp_path / "buffer").iterdir()))
    assert buffer_bytes(7, seat) == on_disk - headers
    network_ = AgentNetwork(seat.input_size, 16, seat.n_actions, torch.Generator())
    assert machine.network_size(seat, 16) == sum(tensor.numel() for tensor in network_.parameters())


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    spec = MapSpec("3m", 3, 9, 30, 48, 60)
    free = shutil.disk_usage(tmp_path).free
    one = buffer_bytes(1, SeatSpec(seat=0, n_agents=3, obs_size=30, n_actions=9, episode_limit=60))

    def levels(buffer_size: int) -> list[Level]:
        return [finding.level for finding in machine.check_room(tmp_path / "x", tmp_path, spec, buffer_size, 64)]

    assert levels(10) == [OK, OK]
    assert levels(free // one // 2) == [WARNING, OK]
    assert levels(2 * free // one) == [FAILED, OK]


def test_folders_are_written_to_and_left_as_they_were(tmp_path: Path) -> None:
    found = machine.check_folder("PPS_HOME", tmp_path / "a" / "b", "do this")
    assert (found.level, "it will be made" in found.says) == (OK, True)
    assert list(tmp_path.iterdir()) == []
    sealed = machine.check_folder("PPS_HOME", Path("/proc/self"), "do this")
    assert sealed.level is FAILED
    assert sealed.says.startswith("cannot write in /proc/self (")
    assert sealed.says.endswith("; do this")
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a"):
        assert machine.check_folder("PPS_HOME", folder, "do this").says == f"{tmp_path / 'file'} is no folder; do this"


@pytest.mark.parametrize(("limit", "level"), [(100, FAILED), (512, WARNING), (4096, OK), (resource.RLIM_INFINITY, OK)])
def test_few_open_files_are_told(monkeypatch: pytest.MonkeyPatch, limit: int, level: Level) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert machine.check_open_files().level is level


# --- StarCraft II ---------------------------------------------------------------------------------------------


def starcraft_findings(options: str = "", rules: str = "") -> dict[str, Finding]:
    found = starcraft.check_starcraft("3m", Rules.parse(rules), options)
    return {finding.check: finding for finding in found}


def test_a_game_is_started_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with battle_host(tmp_path, monkeypatch, maps=["3m", "8m"]) as host:
        found = starcraft_findings()
        assert host.launched == 1
    levels = {check: finding.level for check, finding in found.items()}
    assert levels.pop("other maps") is WARNING
    assert set(levels.values()) == {OK}
    assert "lacks 21 of 22: " in found["other maps"].says
    *_, start = found.values()
    assert re.fullmatch(r"3m: \d+\.\d s until its first observation", start.says)


def test_a_game_that_does_not_start_is_told_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with battle_host(tmp_path, monkeypatch, maps=["3m"], faults=[Fault("exit-at-start", words="no libGL")]):
        *_, start = starcraft_findings().values()
    assert (start.check, start.level) == ("start of a game", FAILED)
    assert start.says.startswith("StarCraft II did not start, 3 times in a row: ")
    assert "\n" not in start.says


def test_nothing_is_started_where_something_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with battle_host(tmp_path, monkeypatch, maps=["3m"]) as host:
        *_, last = starcraft_findings(rules="game-version=4.99").values()
        assert (last.check, last.level) == ("StarCraft II", FAILED)
        assert "game-version 4.99.0: pysc2 does not know it" in last.says
        *_, last = starcraft_findings(options="python=/no/such/python").values()
        assert last.says.startswith("cannot run /no/such/python: ")
        assert host.launched == 0


# --- credentials ----------------------------------------------------------------------------------------------


def test_what_certs_has_made_is_well(made: Path) -> None:
    found = list(check_credentials(made, NOW))
    assert {finding.level for finding in found} == {OK}
    seen = {finding.check.split()[1] for finding in found}
    names = {"ca.crt", "superlink.crt", "envproxy.crt", "ca.key", "superlink.key", "envproxy.key", "supernode.key"}
    assert seen == names | {"attest.key", "seat-0.token", "seat-1.token"}


def test_dates(made: Path) -> None:
    host = made / "coordinator"
    (soon,) = bad(host, days(90))
    assert (soon.level, "expires on" in soon.says, "--renew" in soon.says) == (WARNING, True, True)
    (over,) = bad(host, days(101))
    assert (over.level, "expired on" in over.says) == (FAILED, True)
    assert {finding.level for finding in bad(host, days(-3))} == {FAILED}
    assert "is this machine's clock right?" in bad(host, days(-3))[0].says


def test_what_does_not_go_together(federation: Path, tmp_path: Path) -> None:
    list(Folders(tmp_path / "other").fill(Wanted((), (), 1, "main", 100), NOW))
    host = federation / "battle-host"
    shutil.copy(tmp_path / "other" / "battle-host" / "envproxy.crt", host)
    (foreign,) = bad(host)
    assert (foreign.level, "was not signed by" in foreign.says) == (FAILED, True)
    coordinator = federation / "coordinator"
    shutil.copy(tmp_path / "other" / "coordinator" / "superlink.key", coordinator)
    (key,) = bad(coordinator)
    assert "is not the key of" in key.says


def test_what_others_may_read_or_is_damaged(federation: Path) -> None:
    device = federation / "device-0"
    (device / "supernode.key").chmod(0o640)
    (device / "seat-0.token").write_text("")
    (device / "ca.crt").write_text("nothing")
    token, key, certificate = sorted(bad(device), key=lambda finding: finding.check, reverse=True)[0:3]
    said = {finding.check: finding.says for finding in (token, key, certificate)}
    assert "(mode 0640); chmod 600 " in said["private supernode.key"]
    assert "holds no token" in said["private seat-0.token"]
    assert "cannot be used" in said["certificate ca.crt"]


def test_the_key_of_attested_rewards_is_read(federation: Path) -> None:
    (federation / "coordinator" / "attest.key").write_text("abc\n")
    (damaged,) = bad(federation / "coordinator")
    assert damaged.check == "private attest.key"


def test_folders_that_are_none(tmp_path: Path) -> None:
    assert "does not exist; pps-qmix certs makes it" in bad(tmp_path / "absent")[0].says
    assert "is it the one?" in bad(tmp_path)[0].says


# --- the network ----------------------------------------------------------------------------------------------


def test_ports(surroundings: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert network.check_port("env proxy", address).level is WARNING
    assert network.check_port("env proxy", address).level is OK


def test_an_env_proxy_says_what_it_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy({"main": Arena(Drill(2))})
    try:
        found = network.check_envproxy(proxy.address, "main", PLAIN)
        assert (found.level, "arena main plays" in found.says) == (OK, True)
        other = network.check_envproxy(proxy.address, "red", PLAIN)
        assert (other.level, "served here: main" in other.says) == (WARNING, True)
        monkeypatch.setattr(network, "PROTOCOL", 99)
        older = network.check_envproxy(proxy.address, "main", PLAIN)
        assert (older.level, "install versions of the same protocol on both" in older.says) == (FAILED, True)
    finally:
        proxy.close()


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(0.0, OK), (-20.0, OK), (3.0, WARNING), (6.0, FAILED), (-100.0, WARNING), (-400.0, FAILED)],
)
def test_clocks_are_judged_as_flower_does(ahead: float, level: Level) -> None:
    assert network.judge_clock(ahead).level is level


@pytest.fixture
def dated() -> Iterator[Any]:
    """Return how to start a server whose clock is ahead by some seconds; it returns the address."""
    servers: list[HTTPServer] = []

    def start(ahead: float) -> str:
        class Handler(BaseHTTPRequestHandler):
            def date_time_string(self, timestamp: float | None = None) -> str:
                return formatdate(datetime.datetime.now().timestamp() + ahead, usegmt=True)

            def do_GET(self) -> None:
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_superlinks_clock_is_in_its_answers(dated: Any) -> None:
    answers, clock = network.check_superlink(dated(3600.0), PLAIN)
    assert (answers.level, clock.level) == (OK, FAILED)
    assert "behind the SuperLink's" in clock.says
    _, clock = network.check_superlink(dated(0.0), PLAIN)
    assert clock.level is not FAILED


def test_the_proxies_of_the_environment_are_told(
    dated: Any, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert network.check_proxies().says == "none named in the environment"
    with connect_proxy() as way:
        monkeypatch.setenv("http_proxy", way.url)
        assert [finding.level for finding in network.check_superlink(dated(0.0), PLAIN)] == [OK, OK]
        assert way.asked == []
        monkeypatch.setenv("HTTPS_PROXY", way.url.replace("//", "//me:secret@"))
        monkeypatch.setenv("no_proxy", "near.example")
        assert network.check_proxies() == Finding(
            "proxies",
            OK,
            f"http_proxy={way.url}, https_proxy={way.url}, no_proxy=near.example: TLS to other machines goes through "
            f"{way.address} (https_proxy); the loopback and plaintext connections use none",
        )
        (far,) = network.check_superlink("far.example:9092", Transport(made / "device-0" / "ca.crt"))
        assert far.says.startswith("SuperLink at far.example:9092 cannot be reached through the proxy")
        assert way.asked == ["CONNECT far.example:9092 HTTP/1.0"]
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    assert network.check_proxies().level is WARNING


def test_the_clock_of_a_superlink_behind_a_proxy_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = make_authority(NOW, 10)
    pair = issue(authority, ["far.example"], NOW, 1)
    for name, content in (("ca", authority.certificate), ("crt", pair.certificate), ("key", pair.private_key)):
        (tmp_path / name).write_bytes(content)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with connect_proxy(server.server_port) as way:
        monkeypatch.setenv("https_proxy", way.url)
        answers, clock = network.check_superlink("far.example:9092", Transport(tmp_path / "ca"))
    server.shutdown()
    server.server_close()
    assert (answers.level, clock.level) == (OK, OK)
    assert answers.says == f"answers at far.example:9092, over TLS through the proxy {way.address} (https_proxy)"


def test_tls_is_told_from_plaintext(dated: Any, made: Path) -> None:
    (found,) = network.check_superlink(dated(0.0), Transport(made / "device-0" / "ca.crt"))
    assert (found.level, "does not speak TLS" in found.says) == (FAILED, True)
