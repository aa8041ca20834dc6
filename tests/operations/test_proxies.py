"""Which connections go through an HTTP proxy, and what processes that we start are told of it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from operations.proxies import ProxyError, environment, proxy_to, tls_proxy, variables, without_proxy
from tests.connect_proxy import connect_proxy

CLOSED = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def server() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield listening.server_port
    listening.shutdown()
    listening.server_close()


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ({}, ""),
        ({"no_proxy": "10.0.0.1, .example,localhost"}, "10.0.0.1,.example,"),
        ({"NO_PROXY": "a"}, "a,"),
        ({"NO_PROXY": "a", "no_proxy": "b"}, "b,"),
    ],
)
def test_the_loopback_is_added_to_what_is_called_directly(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, str], kept: str
) -> None:
    for variable, value in named.items():
        monkeypatch.setenv(variable, value)
    wanted = f"{kept}localhost,127.0.0.1,::1,127.0.0.2"
    assert without_proxy("127.0.0.2") == {"no_proxy": wanted, "NO_PROXY": wanted}


def test_direct_connections_stay_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("https_proxy", CLOSED)
    assert without_proxy("a")["no_proxy"] == "*"
    assert proxy_to("battles.example") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
@pytest.mark.parametrize(
    "named",
    [
        dict.fromkeys(("http_proxy", "https_proxy"), CLOSED),
        dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), CLOSED),
        dict.fromkeys(("http_proxy", "all_proxy", "ALL_PROXY"), "socks5://127.0.0.1:9"),
        dict.fromkeys(("http_proxy", "all_proxy"), "http://127.0.0.1:none"),
    ],
)
def test_flower_s_http_client_reaches_the_loopback_whatever_is_named(
    monkeypatch: pytest.MonkeyPatch, server: int, named: dict[str, str], host: str
) -> None:
    for variable, value in named.items():
        monkeypatch.setenv(variable, value)
    program = f"import httpx; print(httpx.Client().get('http://{host}:{server}').status_code)"
    call = [sys.executable, "-c", program]
    done = subprocess.run(call, env=environment() | without_proxy(host), capture_output=True, text=True, check=False)
    if host == "127.0.0.2":  # nothing listens there; not the proxy's answer is what counts
        assert "ConnectError: [Errno 111]" in done.stderr
    else:
        assert done.stdout == "204\n", done.stderr


def test_flower_s_http_client_calls_other_machines_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect_proxy() as way:
        monkeypatch.setenv("HTTPS_PROXY", way.url)
        call = [sys.executable, "-c", "import httpx; httpx.Client().get('https://coordinator.example:9092')"]
        done = subprocess.run(call, env=environment(), capture_output=True, text=True, check=False)
        assert "403" in done.stderr
        assert way.asked == ["CONNECT coordinator.example:9092 HTTP/1.1"]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (
            "socks5://me:secret@proxy.example:1080",
            "https_proxy: expected http://HOST:PORT, found socks5://proxy.example:1080",
        ),
        ("https://proxy.example", "expected http://HOST:PORT, found https://proxy.example"),
        ("http://proxy.example:none", "found http://proxy.example:none"),
        ("http://", "found http://"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, named: str, words: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", named)
    with pytest.raises(ProxyError) as refused:
        tls_proxy()
    assert words in str(refused.value)
    assert "secret" not in f"{refused.value}{variables()}"


def test_a_proxy_may_be_named_without_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tls_proxy() is None
    monkeypatch.setenv("all_proxy", "proxy.example:3128")
    monkeypatch.setenv("no_proxy", "near.example")
    proxy = proxy_to("far.example")
    assert proxy is not None
    assert (proxy.host, proxy.port, str(proxy)) == ("proxy.example", 3128, "proxy.example:3128 (all_proxy)")
    assert proxy_to("near.example") is None
