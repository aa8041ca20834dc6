"""deploy/nginx-fleet.conf passes what SuperNodes call, all of it and nothing else: the paths, and a real nginx."""

from __future__ import annotations

import datetime
import http.client
import os
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest
from flwr.superlink.routers.fleet.router import router as fleet
from starlette.routing import Route

from pps_qmix.credentials.folders import Folders, Wanted
from pps_qmix.runtime.processes import Part, free_ports, wait_until_listening
from tests.waiting import WAIT_LIMIT

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx-fleet.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def paths_passed() -> list[str]:
    (words,) = re.findall(r"\^/v1/fleet/\(([^)]*)\)\$", CONFIGURATION.read_text())
    return [f"/v1/fleet/{word}" for word in words.split("|")]


def test_the_paths_are_those_of_the_fleet_api() -> None:
    assert sorted(paths_passed()) == sorted(cast(Route, route).path for route in fleet.routes)


@dataclass
class Front:
    """nginx with our configuration, before a server that answers everything."""

    port: int
    ca: Path
    heard: list[str] = field(default_factory=list)  # what came through

    def call(self, path: str, method: str = "POST") -> int:
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=WAIT_LIMIT)
        connection.putrequest(method, path)
        connection.putheader("Content-Length", "2")
        connection.endheaders(b"hi")
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    if NGINX is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    list(Folders(folder / "c").fill(Wanted((), (), 1, "main", 1), datetime.datetime.now(datetime.UTC)))
    coordinator = folder / "c" / "coordinator"
    (port,) = free_ports(1)
    made = Front(port, coordinator / "ca.crt")

    class Superlink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            made.heard.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Superlink)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(coordinator / "superlink.crt", coordinator / "superlink.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours = CONFIGURATION.read_text()
    for theirs, here in (
        ("/etc/pps-qmix/coordinator", str(coordinator)),
        ("127.0.0.1:8000", f"127.0.0.1:{server.server_port}"),
        ("listen 9092 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("    listen [::]:9092 ssl;\n", ""),
    ):
        assert theirs in ours
        ours = ours.replace(theirs, here)
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    around = f"daemon off; pid {folder}/pid; events {{}}\nhttp {{ access_log off;\n{paths}{ours} }}\n"
    (folder / "nginx.conf").write_text(around)
    command = [NGINX, "-e", "stderr", "-c", str(folder / "nginx.conf")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    part = Part("nginx", command, folder / "nginx.log")
    try:
        wait_until_listening(part, port, 30)
        yield made
    finally:
        part.end()
        server.shutdown()
        server.server_close()


def test_what_supernodes_call_comes_through(front: Front) -> None:
    front.heard.clear()
    for path in paths_passed():
        assert front.call(path) == 200
    assert front.heard == paths_passed()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/control/start-run",
        "/v1/control/register-node",
        "/v1/runtime/acquire-task",
        "/docs",
        "/openapi.json",
        "/health",
        "/",
        "/v1/fleet/",
        "/v1/fleet/pull-messages/../../control/start-run",
        "/v1/fleet/pull-messages/..%2f..%2fcontrol/start-run",
        "/v1/fleet/%2e%2e/control/start-run",
        "/v1/fleet/%252e%252e/control/start-run",
        "//v1/control/start-run",
        "/v1/fleet/pull-messages;/../../control/start-run",
        "/V1/FLEET/pull-messages",
    ],
)
def test_nothing_else_comes_through(front: Front, path: str) -> None:
    front.heard.clear()
    assert front.call(path) in (400, 404)
    assert front.heard == []


def test_the_forwarded_path_is_the_listed_one(front: Front) -> None:
    front.heard.clear()
    for path in (
        "/v1/fleet/x/../get-run",
        "/v1/%66leet/get-run",
        "//v1//fleet/get-run",
        "/v1/fleet/get-run%0a",
        "/v1/fleet/get-run?",
    ):
        assert front.call(path) == 200
    assert set(front.heard) == {"/v1/fleet/get-run"}


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_only_posts_come_through(front: Front, method: str) -> None:
    front.heard.clear()
    assert front.call("/v1/fleet/get-run", method) == 403
    assert front.heard == []
