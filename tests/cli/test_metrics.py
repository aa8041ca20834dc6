"""What Prometheus reads of a device's files, and of anything over HTTP and TLS; the page that names every metric."""

from __future__ import annotations

import datetime
import re
import shutil
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.main import main
from client.counters import DeviceCounters
from client.device import DeviceDirectory
from client.player import MemberPlayer
from client.resident import AgentService, serve
from envproxy import metrics_endpoint
from envproxy.arena import Arena
from envproxy.certificates import ServerCertificate
from envproxy.metrics import ArenaMetrics
from operations.members import Member
from pps_qmix.credentials.folders import Folders, Wanted
from pps_qmix.runtime.device_metrics import AgentMetrics
from pps_qmix.runtime.processes import free_ports
from tests.envproxy.conftest import Proxy
from tests.envproxy.drill import Drill
from tests.prometheus import samples, shown
from tests.waiting import WAIT_LIMIT

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
REPORT = {
    "battles": 5,
    "missed": 1,
    "training-steps": 4,
    "buffered": 9,
    "epsilon": 0.5,
    "seconds-waiting": 1.0,
    "seconds-acting": 2.0,
    "seconds-learning": 3.0,
}


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    started = Proxy({"main": Arena(Drill(2, length_of=lambda _: 3))})
    yield started
    started.close()


def played(tmp_path: Path) -> None:
    """Let a device have written down two rounds of one run, after one of another."""
    for run, rounds in (("older", [1]), ("newer", [1, 2])):
        directory = DeviceDirectory(tmp_path, run, "id", 1)
        directory.make()
        counters = DeviceCounters()
        for round_ in rounds:
            counters.add(round_, {**REPORT, "loss": 0.25} if round_ == 2 else REPORT)
        counters.ended = float(len(rounds))
        counters.save(directory.counters)


def test_a_device_says_what_its_newest_run_has_done(tmp_path: Path) -> None:
    assert samples(shown(AgentMetrics(tmp_path, 1))) == {}
    played(tmp_path)
    (tmp_path / "cut" / "id" / "seat-1").mkdir(parents=True)
    (tmp_path / "cut" / "id" / "seat-1" / "counters.json").write_text('{"battles": ')
    found = samples(shown(AgentMetrics(tmp_path, 1)))
    assert found["agent_up seat=1"] == 0
    assert found["agent_round seat=1"] == 2
    assert found["agent_battles_total seat=1"] == 10
    assert found["agent_loss seat=1"] == 0.25
    assert found["agent_seconds_total activity=learning seat=1"] == 6
    assert "older" not in shown(AgentMetrics(tmp_path, 1))
    shutil.copytree(tmp_path / "newer", tmp_path / "copy of newer")  # is no run
    assert "copy of" not in shown(AgentMetrics(tmp_path, 1))
    assert samples(shown(AgentMetrics(tmp_path, 0))) == {}


def test_an_agent_process_is_up_while_it_answers(tmp_path: Path) -> None:
    played(tmp_path)
    directory = DeviceDirectory(tmp_path, "newer", "id", 1)
    server = serve(
        AgentService(MemberPlayer(Member(0, 1), "127.0.0.1:1", lambda _: tmp_path / "token")), directory.socket
    )
    up = "agent_up seat=1"
    assert samples(shown(AgentMetrics(tmp_path, 1)))[up] == 1
    assert directory.lock()  # who looks does not hold it
    server.stop(grace=None).wait()
    assert samples(shown(AgentMetrics(tmp_path, 1)))[up] == 0


def test_the_page_names_every_metric_and_no_other(proxy: Proxy, tmp_path: Path) -> None:
    rows = re.findall(r"^\| `(pps_qmix_\w+)` \| (\w+) \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    played(tmp_path)
    text = shown(ArenaMetrics(proxy.server.counters)) + shown(AgentMetrics(tmp_path, 1))
    exported = {}
    for family in text_string_to_metric_families(text):
        assert family.samples, f"{family.name} has no value"
        name = f"{family.name}_total" if family.type == "counter" else family.name
        exported[name] = (family.type, set(family.samples[0].labels) - {"le"})
    assert exported == documented


# --- over HTTP ------------------------------------------------------------------------------------------------


def test_it_is_served_where_and_while_it_is_wanted(proxy: Proxy) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/metrics"
    with metrics_endpoint.served(f"127.0.0.1:{port}", ArenaMetrics(proxy.server.counters)):
        text = urllib.request.urlopen(url, timeout=WAIT_LIMIT).read().decode()
        assert samples(text)["arena_ticks_total"] == 0
        assert "process_resident_memory_bytes" in text
        with (
            pytest.raises(
                OSError, match=rf"^metrics-listen: cannot listen on 127.0.0.1:{port}: another program uses this port"
            ),
            metrics_endpoint.served(f"127.0.0.1:{port}", ArenaMetrics(proxy.server.counters)),
        ):
            pass
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=WAIT_LIMIT)
    with metrics_endpoint.served(None, ArenaMetrics(proxy.server.counters)):
        pass


def test_with_a_certificate_it_is_served_over_tls(proxy: Proxy, tmp_path: Path) -> None:
    list(Folders(tmp_path).fill(Wanted((), (), 1, "main", 1), datetime.datetime.now(datetime.UTC)))
    folder = tmp_path / "battle-host"
    (port,) = free_ports(1)
    context = ssl.create_default_context(cafile=tmp_path / "authority" / "ca.crt")
    served = metrics_endpoint.served(
        f"127.0.0.1:{port}",
        ArenaMetrics(proxy.server.counters),
        ServerCertificate(folder / "envproxy.crt", folder / "envproxy.key"),
    )
    with served:
        answer = urllib.request.urlopen(f"https://127.0.0.1:{port}/metrics", timeout=WAIT_LIMIT, context=context)
        assert b"pps_qmix_arena_round" in answer.read()


@pytest.mark.parametrize("words", [b"", b"\0" * 1000, b"GET /metrics HTTP/1.0\r\n"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_or_invalid_caller_does_not_delay_others(
    proxy: Proxy, tmp_path: Path, scheme: str, words: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate, context = None, None
    if scheme == "https":
        list(Folders(tmp_path).fill(Wanted((), (), 1, "main", 1), datetime.datetime.now(datetime.UTC)))
        folder = tmp_path / "battle-host"
        certificate = ServerCertificate(folder / "envproxy.crt", folder / "envproxy.key")
        context = ssl.create_default_context(cafile=tmp_path / "authority" / "ca.crt")
    (port,) = free_ports(1)
    with metrics_endpoint.served(f"127.0.0.1:{port}", ArenaMetrics(proxy.server.counters), certificate):
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(words)
            answer = urllib.request.urlopen(f"{scheme}://127.0.0.1:{port}/metrics", timeout=WAIT_LIMIT, context=context)
            assert b"pps_qmix_arena_round" in answer.read()
        silent = socket.create_connection(("127.0.0.1", port))  # is there at our end
    silent.close()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("9464", "metrics-listen: expected HOST:PORT, found '9464'"),
        ("127.0.0.1:70000", "metrics-listen: expected HOST:PORT, found '127.0.0.1:70000'"),
        ("0.0.0.0:9464", "metrics-listen: other machines reach 0.0.0.0:9464, in plaintext; listen on 127.0.0.1, or"),
    ],
)
@pytest.mark.parametrize("command", [["envproxy"], ["agent", "--seat", "0", "--superlink", "127.0.0.1:1"]])
def test_where_others_could_listen_it_must_be_wanted(
    capsys: pytest.CaptureFixture[str], surroundings: None, command: list[str], address: str, words: str
) -> None:
    assert main([*command, "--metrics-listen", address]) == 2
    assert f"pps-qmix: {words}" in capsys.readouterr().err
    metrics_endpoint.check("127.0.0.1:9464", insecure=False)
    metrics_endpoint.check("0.0.0.0:9464", insecure=True)
    metrics_endpoint.check("0.0.0.0:9464", insecure=False, certificate=Path("x.crt"))
