"""compose.secure.yaml for real: a run over TLS to its result, and what a device of it cannot see or reach.

Beside the run others come for a seat: without a key, with a foreign one, with another authority, with a wrong token.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.conftest import OWNER, TINY, Stack

pytestmark = pytest.mark.containers

LOOK = """
import http.client, json, os, socket, ssl

def reaches(host, port):
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True

def status(path):
    context = ssl.create_default_context(cafile="/device/ca.crt")
    connection = http.client.HTTPSConnection("coordinator", 9092, context=context, timeout=20)
    connection.request("POST", path, b"")
    return connection.getresponse().status

found = [os.path.join(folder, name) for folder, _, names in os.walk("/") for name in names
         if not folder.startswith(("/proc", "/sys", "/opt", "/usr"))]
print(json.dumps({
    "keys and tokens": sorted(path for path in found if path.endswith((".key", ".token"))),
    "superlink's own port": reaches("coordinator", 8000) or reaches("superlink", 8000),
    "the internet": reaches("1.1.1.1", 443),
    "control": status("/v1/control/start-run"),
    "runtime": status("/v1/runtime/acquire-task"),
    "fleet": status("/v1/fleet/pull-messages"),
}))
"""

SUPERNODE = (
    "flower-supernode --superlink coordinator:9092 --root-certificates /device/ca.crt --node-config seat=0 --port 9999"
)
FOREIGN = "/tmp/foreign/device-0"
AGENT = "pps-qmix agent --seat 0 --superlink coordinator:9092 --envproxy envproxy:50551"

TOKEN = """
import grpc
from pathlib import Path
from envproxy import battle_pb2 as pb, battle_pb2_grpc
from envproxy.calls import SeatCall
from envproxy.transport import Transport, open_channel

stub = battle_pb2_grpc.BattleServiceStub(open_channel("envproxy:50551", Transport(Path("/device/ca.crt"))))
token = Path("/device/seat-0.token").read_text().strip()
call = SeatCall("main", 1, token)
try:
    next(stub.Play(iter([pb.SeatMessage(join=pb.Join())]), timeout=60, metadata=call.metadata()))
except grpc.RpcError as error:
    print(error.details())
"""


@pytest.fixture
def stack(_nginx_image: None, runs: Path) -> Iterator[Stack]:
    """Afterwards nothing may be left of the containers."""
    made = Stack(runs, "compose.yaml", "compose.secure.yaml")
    yield made
    made.compose("down", "--volumes")
    assert made.left_behind() == []


def test_a_run_over_tls_finishes_and_admits_only_its_devices(stack: Stack, runs: Path) -> None:
    stack.compose("up", "--detach", BATTLES="4", STEPS="2000", STRATEGY="a-pps", SETTINGS=TINY)

    seen = json.loads(stack.compose("exec", "-T", "agent-0", "python", "-c", LOOK))
    assert seen == {
        "keys and tokens": ["/device/seat-0.token", "/device/supernode.key"],
        "superlink's own port": False,
        "the internet": False,
        "control": 404,
        "runtime": 404,
        "fleet": 415,  # the SuperLink's own word on an empty call
    }

    def come(command: str) -> str:
        """Come from a container of this network that has the folder of seat 0; return what is said."""
        end = "; echo ended with $?"
        return stack.compose(
            "run", "--rm", "--no-deps", "--no-TTY", "agent-0", "sh", "-c", f"exec 2>&1; {command}{end}"
        )

    keyless = come(SUPERNODE)
    assert "All SuperNodes must be registered via the CLI" in keyless
    assert keyless.endswith("ended with 1")

    foreign = come(
        f"pps-qmix certs /tmp/foreign --seats 1; {SUPERNODE} --auth-supernode-private-key {FOREIGN}/supernode.key"
    )
    assert "Failed to activate SuperNode" in foreign
    assert foreign.endswith("ended with 1")

    strange = come(f"pps-qmix certs /tmp/foreign --seats 1; PPS_HOME=/tmp {AGENT} --credentials {FOREIGN}")
    *_, said, end = strange.splitlines()
    assert said.startswith("pps-qmix: the SuperLink at coordinator:9092 has a certificate that the CA in ")
    assert said.endswith(f"{FOREIGN}/ca.crt has not signed; is it the one it should be?")
    assert end == "ended with 1"

    assert "this is not the token of seat 1 of arena 'main'; give the device the token" in come(f"python -c '{TOKEN}'")

    assert stack.exit_code("experiment") == 0, stack.compose("logs")
    assert max(row["steps"] for row in stack.rows()) >= 2000
    assert not any(row.get("rejected") for row in stack.rows())
    (run,) = runs.glob("*/run.json")  # so what no device could have signed was signed with the right key
    assert json.loads(run.read_text())["settings"]["attest-key"] == "/attestation/attest.key"
    assert {path.stat().st_uid for path in runs.rglob("*")} == {OWNER}
    assert "win rate" in stack.compose("logs", "experiment")
